"""SVG of the cluster: segments above, devices as boxes, and under them arcs for what they send each other."""

from __future__ import annotations

from dataclasses import dataclass

from models.cluster import Cluster, Segment
from solver.plan import Plan
from solver.report import Report
from solver.reporting import units
from solver.reporting.estimates import participants
from solver.reporting.markup import Child, Markup, figure, tag
from solver.reporting.measured import Measured
from solver.reporting.network import Flow, Picture
from solver.reporting.palette import Palette

WIDTH, BAR, LEVEL, BOX, GAP = 1100.0, 26.0, 52.0, 86.0, 18.0
LEAST_BOX, MOST_BOX = 156.0, 220.0
MOST_LABELS = 10


@dataclass(frozen=True)
class _Frame:
    """Measures of the drawing: left edge and width of a box by place, and the top of the boxes."""

    lefts: tuple[float, ...]
    box: float
    top: float

    def middle(self, place: int) -> float:
        return self.lefts[place] + self.box / 2


def cluster_figure(
    plan: Plan, cluster: Cluster, report: Report, measured: Measured | None, palette: Palette
) -> Markup:
    """Return the figure; bytes are those of one step (one round, where copies synchronise more rarely).

    Parameters
    ----------
    plan, cluster, report, measured, palette
        What is drawn.
    """
    picture = Picture(cluster)
    count = len(picture.devices)
    box = min(MOST_BOX, max(LEAST_BOX, (WIDTH - GAP) / count - GAP))
    width = max(WIDTH, count * (box + GAP) + GAP)
    start = (width - count * (box + GAP) + GAP) / 2
    levels = 1 + max(picture.level.values(), default=-1)
    frame = _Frame(tuple(start + i * (box + GAP) for i in range(count)), box, 6 + levels * LEVEL)
    flows = picture.flows(report, measured)
    arcs, depth = _arcs(flows, picture, frame)
    bars = [_segment(segment, picture, frame) for segment in cluster.segments]
    boxes = [
        _device(name, i, plan, cluster, report, frame, palette) for i, name in enumerate(picture.devices)
    ]
    height = frame.top + BOX + depth + 8
    told = "; ".join(
        f"{f.first} to {f.second} {units.size(f.there)}, back {units.size(f.back)}" for f in flows
    )
    drawing = figure(
        "The cluster and its traffic",
        told or "No device sends anything.",
        bars,
        arcs,
        boxes,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        class_="cluster",
    )
    return tag("div", drawing, class_="wide", style=f"--least:{max(760, 0.8 * width):.0f}px")


def _segment(segment: Segment, picture: Picture, frame: _Frame) -> Markup:
    level = picture.level[segment.name]
    first, last = picture.below(segment)
    y = frame.top - LEVEL * (level + 1)
    left, right = frame.lefts[first], frame.lefts[last] + frame.box
    wires: list[Child] = []
    for name in segment.members:
        if name in picture.cluster.by_name:
            x = frame.middle(picture.devices.index(name)) + 14 * level
            wires.append(tag("line", x1=x, x2=x, y1=y + BAR, y2=frame.top, class_="wire"))
        else:
            wires.append(_join(segment.name, name, picture, frame))
    kind = "switch" if segment.kind == "switch" else "shared medium, one transfer at a time"
    words = [units.rate(segment.bandwidth_bytes_per_s)]
    if segment.latency_s:
        words.append(units.seconds(segment.latency_s))
    if segment.spectrum is not None:
        words.append(f"{units.digits(segment.spectrum.bandwidth_hz / 1e6)} MHz shared out")
    name = segment.name if segment.name == kind else f"{segment.name} ({kind})"
    text = f"{name} · {' · '.join(words)}"
    if len(text) * 7 > right - left:
        text = f"{segment.name} · {words[0]}"
    bar = tag(
        "rect", x=left, y=y, width=right - left, height=BAR, rx=BAR / 2, class_=f"segment {segment.kind}"
    )
    return tag("g", wires, bar, tag("text", text, x=(left + right) / 2, y=y + 17.5, class_="mid"))


def _join(upper: str, lower: str, picture: Picture, frame: _Frame) -> Markup | None:
    """Draw the wire between two segments, from the one that stands higher."""
    levels = [picture.level[upper], picture.level[lower]]
    spans = [picture.below(picture.cluster.segment[name]) for name in (upper, lower)]
    tops = [frame.top - LEVEL * (level + 1) for level in levels]
    if levels[0] > levels[1]:
        x = (frame.middle(spans[1][0]) + frame.middle(spans[1][1])) / 2
        return tag("line", x1=x, x2=x, y1=tops[0] + BAR, y2=tops[1], class_="wire")
    if levels[0] == levels[1] and spans[0][1] < spans[1][0]:
        x1, x2, y = frame.lefts[spans[0][1]] + frame.box, frame.lefts[spans[1][0]], tops[0] + BAR / 2
        return tag("line", x1=x1, x2=x2, y1=y, y2=y, class_="wire")
    return None


def _device(
    name: str, place: int, plan: Plan, cluster: Cluster, report: Report, frame: _Frame, palette: Palette
) -> Markup:
    device, choice = cluster.by_name[name], plan.devices.get(name)
    board = device.in_mode(choice.power_mode if choice else None)
    x, y = frame.lefts[place], frame.top
    speed = {str(key): value for key, value in board.flop_per_s.items()}.get(plan.job.precision)
    shown = (
        f"{'~' if speed.estimate else ''}{units.operations(speed.value, '/s')}"
        if speed
        else "no " + plan.job.precision
    )
    memory = f"{'~' if board.memory_bytes.estimate else ''}{units.size(board.memory_bytes.value)}"
    part = report.utilisation.get(name)
    lines = [
        device.kind or device.description,
        f"{shown} · {memory}",
        f"busy {units.percent(part)}" if part is not None else f"in no stage: {plan.left_out}",
    ]
    if choice and choice.power_mode:
        lines[0] += f" ({choice.power_mode})"
    room = int((frame.box - 16) / 5.9)
    texts = [tag("text", name[:room], x=x + 12, y=y + 22, class_="strong")]
    texts += [
        tag(
            "text",
            line if len(line) <= room else line[: room - 1] + "…",
            x=x + 12,
            y=y + 41 + 16 * i,
            class_="small",
        )
        for i, line in enumerate(lines)
    ]
    fill = palette.fill(name) if name in participants(plan) else "none"
    frame_box = tag("rect", x=x, y=y, width=frame.box, height=BOX, rx=8, class_="device")
    strip = tag("rect", x=x + 1, y=y + 9, width=6, height=BOX - 18, rx=3, fill=fill)
    return tag("g", tag("title", "\n".join([name, *lines])), frame_box, strip, texts)


def _arcs(flows: list[Flow], picture: Picture, frame: _Frame) -> tuple[list[Child], float]:
    """Draw who talks to whom, the width of an arc by its bytes; return that and the depth it takes."""
    most = max((flow.there + flow.back for flow in flows), default=0)
    ends = _ends(flows, picture, frame)
    arcs: list[Child] = []
    labels: list[Child] = []
    depth = 0.0
    floor = frame.top + BOX
    for i, flow in enumerate(flows):
        x1, x2 = ends[flow.first, flow.second], ends[flow.second, flow.first]
        apart = picture.devices.index(flow.second) - picture.devices.index(flow.first)
        dip = 24.0 + 38.0 * min(apart, 5) + 8.0 * max(apart - 5, 0)
        path = f"M{x1:.1f} {floor}C{x1:.1f} {floor + dip:.1f} {x2:.1f} {floor + dip:.1f} {x2:.1f} {floor}"
        thick = 1.5 + 8.5 * (flow.there + flow.back) / most if most else 1.5
        arcs.append(tag("path", tag("title", _told(flow)), d=path, class_="flow", stroke_width=thick))
        if i < MOST_LABELS:
            ways = [f"{arrow} {units.size(n)}" for arrow, n in (("→", flow.there), ("←", flow.back)) if n]
            text = "\u2003".join(ways)
            y = floor + 0.75 * dip + thick / 2 + 12
            labels.append(tag("text", text, x=(x1 + x2) / 2, y=y, class_="mid small halo"))
        depth = max(depth, 0.75 * dip + thick / 2 + 16)
    return [*arcs, *labels], depth


def _ends(flows: list[Flow], picture: Picture, frame: _Frame) -> dict[tuple[str, str], float]:
    """Return where under a device the arc to another one ends: side by side, so that few arcs cross."""
    place = {name: i for i, name in enumerate(picture.devices)}
    found: dict[tuple[str, str], float] = {}
    for name in picture.devices:
        others = {
            flow.second if flow.first == name else flow.first
            for flow in flows
            if name in (flow.first, flow.second)
        }
        left = sorted((place[other] for other in others if place[other] < place[name]), reverse=True)
        right = sorted((place[other] for other in others if place[other] > place[name]), reverse=True)
        order = [*left, *right]
        gap = min(26.0, (frame.box - 30) / max(len(order), 1))
        for i, other in enumerate(order):
            x = frame.middle(place[name]) + gap * (i - (len(order) - 1) / 2)
            found[name, picture.devices[other]] = x
    return found


def _told(flow: Flow) -> str:
    lines = [
        f"{flow.first} → {flow.second}: {flow.there:,} bytes",
        f"{flow.second} → {flow.first}: {flow.back:,} bytes",
    ]
    if flow.measured_there is not None and flow.measured_back is not None:
        lines[0] += f", measured {flow.measured_there:,}"
        lines[1] += f", measured {flow.measured_back:,}"
    return "\n".join(lines)
