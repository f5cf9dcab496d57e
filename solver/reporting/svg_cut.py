"""SVG of the cut: the model from left to right, every block split among the devices that share it."""

from __future__ import annotations

from itertools import accumulate, groupby

from models.workload import Workload
from solver.plan import Plan, Stage
from solver.reporting.cut import Cell, Part, cells, parts, stage_words
from solver.reporting.markup import Child, Markup, figure, join, tag
from solver.reporting.palette import Palette
from solver.reporting.svg_dag import dag_figure

WIDTH, TOP, HEIGHT, NAMES = 1100.0, 34.0, 124.0, 112.0
NARROWEST = 9.0
MOST_CELLS = 600


def cut_figures(plan: Plan, workload: Workload, palette: Palette) -> Markup:
    """Return one figure per pipeline: width is work (flop), height is the share of a device.

    Parameters
    ----------
    plan, workload, palette
        What is drawn.
    """
    drawn: list[Child] = []
    room = max(1, MOST_CELLS // len(workload.blocks))
    for p, pipeline in enumerate(plan.pipelines[:room]):
        name = "The cut" if len(plan.pipelines) == 1 else f"The cut of pipeline {p}"
        caption = f"{pipeline.num_micro_batches} micro-batches of {pipeline.samples} samples"
        if len(plan.pipelines) > 1:
            drawn.append(tag("h3", f"Pipeline {p}: {caption}"))
        told = "; ".join(_told(s, stage) for s, stage in enumerate(pipeline.stages))
        found = list(cells(plan, pipeline, workload).values())
        stages = pipeline.stages
        in_order = [cell.stage for cell in found] == sorted(cell.stage for cell in found)
        if workload.is_chain and in_order:
            drawn.append(_chain_figure(name, told, found, stages, palette))
        else:
            drawn.append(dag_figure(name, told, found, stages, workload, palette))
            drawn.append(_stage_list(stages, palette))
    if len(plan.pipelines) > room:
        rest = len(plan.pipelines) - room
        drawn.append(tag("p", f"{rest} more pipelines are in the plan and not drawn.", class_="note"))
    return join(drawn)


def _stage_list(stages: tuple[Stage, ...], palette: Palette) -> Markup:
    """Say which devices the stages of a DAG are on, where no heading above the blocks can."""
    items = []
    for number, stage in enumerate(stages):
        own = parts(stage)
        names = [
            tag(
                "span",
                palette.swatch(part.device),
                part.device,
                f" {part.words}" * (len(own) > 1),
                class_="part",
            )
            for part in own
        ]
        heading = f"stage {number}" + (f" ({words})" if (words := stage_words(stage)) else "") + ": "
        items.append(tag("li", tag("b", heading), names))
    return tag("ul", items, class_="stages")


def _told(number: int, stage: Stage) -> str:
    shares = ", ".join(f"{part.device} {part.words}" for part in parts(stage))
    return f"stage {number}: {len(stage.blocks)} blocks on {shares}"


def _chain_figure(
    name: str, told: str, found: list[Cell], stages: tuple[Stage, ...], palette: Palette
) -> Markup:
    width = max(WIDTH, NARROWEST * len(found))
    least = min(26.0, 0.6 * width / len(found))
    total = sum(cell.flop for cell in found) or 1.0
    widths = [least + (width - least * len(found)) * cell.flop / total for cell in found]
    if not any(cell.flop for cell in found):
        widths = [width / len(found)] * len(found)
    lefts = list(accumulate(widths, initial=0.0))
    shapes: list[Child] = []
    for number, group in groupby(range(len(found)), key=lambda i: found[i].stage):
        places = list(group)
        span = (lefts[places[0]], lefts[places[-1] + 1])
        shapes.append(
            _stage(number, stages[number], [(found[i], lefts[i], widths[i]) for i in places], span, palette)
        )
    shapes.append(_names(found, lefts, widths))
    height = TOP + HEIGHT + NAMES
    drawing = figure(name, told, shapes, viewBox=f"0 0 {width:.0f} {height:.0f}", class_="cut")
    return tag("div", drawing, class_="wide", style=f"--least:{max(760, 0.8 * width):.0f}px")


def _stage(
    number: int,
    stage: Stage,
    places: list[tuple[Cell, float, float]],
    span: tuple[float, float],
    palette: Palette,
) -> Markup:
    """Draw the blocks of a stage with a heading above and the devices' names across."""
    left, right = span[0] + 1.5, span[1] - 1.5
    shapes: list[Child] = []
    own = parts(stage)
    tops = list(accumulate((HEIGHT * part.part for part in own), initial=TOP))
    shapes += [
        tag("rect", x=span[0] + 0.5, y=y, width=span[1] - span[0] - 1, height=HEIGHT * part.part, fill=fill)
        for part, y in zip(own, tops, strict=False)
        if (fill := palette.fill(part.device))
    ]
    for cell, x, width in places:
        tip = tag("title", cell.told)
        shapes.append(tag("rect", tip, x=x, y=TOP, width=width, height=HEIGHT, class_="block"))
    shapes += [tag("line", x1=left, x2=right, y1=y, y2=y, class_="split") for y in tops[1:-1]]
    shapes.append(tag("path", d=f"M{left:.1f} {TOP - 4:.0f}v-5H{right:.1f}v5", class_="bracket"))
    heading = _fitting(
        [f"stage {number} · {stage_words(stage)}".removesuffix(" · "), f"stage {number}", str(number)],
        right - left,
        12,
    )
    shapes.append(tag("text", heading, x=(left + right) / 2, y=TOP - 14, class_="mid strong"))
    for part, y in zip(own, tops, strict=False):
        words = part.words if len(own) > 1 else ""
        shapes.append(_across(part, words, (left, right), (y, HEIGHT * part.part), palette))
    return tag("g", shapes)


def _across(
    part: Part, words: str, across: tuple[float, float], down: tuple[float, float], palette: Palette
) -> Markup | None:
    """Write a device's name over its band, upright where the stage is narrow."""
    width, height = across[1] - across[0], down[1]
    x, y = sum(across) / 2, down[0] + down[1] / 2
    long = f"{part.device} · {words}".removesuffix(" · ")
    outline = palette.plain(part.device)
    if text := _fitting([long, part.device], width, 13) if height >= 15 else "":
        return tag("text", text, x=x, y=y + 4.5, class_="mid ondevice", stroke=outline)
    if width >= 13 and (text := _fitting([long, part.device], height, 12)):
        turn = f"rotate(-90 {x:.1f} {y:.1f})"
        return tag("text", text, x=x, y=y + 4, transform=turn, class_="mid ondevice", stroke=outline)
    return None


def _fitting(texts: list[str], width: float, font: float) -> str:
    """Return the first text that fits a width; empty if none does."""
    return next((text for text in texts if len(text) * font * 0.58 <= width), "")


def _names(found: list[Cell], lefts: list[float], widths: list[float]) -> Markup:
    """Write block names under the blocks, upside; those that would collide are left out."""
    written: list[Child] = []
    free = -100.0
    for cell, x, width in zip(found, lefts, widths, strict=False):
        middle = x + width / 2
        if middle - free < 12:
            continue
        free = middle
        y = TOP + HEIGHT + 6
        name = cell.name if len(cell.name) <= 17 else cell.name[:9] + "…" + cell.name[-7:]
        turn = f"rotate(-90 {middle:.1f} {y:.1f})"
        written.append(tag("text", name, x=middle, y=y + 4, transform=turn, class_="end small"))
    return tag("g", written)
