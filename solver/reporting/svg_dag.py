"""SVG of a cut through a DAG: towers as rows, depth from left to right; edges between stages are strong."""

from __future__ import annotations

from itertools import accumulate

from models.workload import Workload
from solver.plan import Stage
from solver.reporting.cut import Cell, parts
from solver.reporting.markup import Child, Markup, figure, tag
from solver.reporting.palette import Palette

WIDTH, BOX, MARGIN = 1100.0, 46.0, 26.0
ROW, UPRIGHT_ROW = 74.0, 200.0
"""Distance of rows: with names written level, and upright where columns are narrow."""


def places(workload: Workload) -> dict[str, tuple[int, int]]:
    """Return (column, row) of every block: how deep it lies, and a row of its tower.

    Parameters
    ----------
    workload
        The DAG.

    Notes
    -----
    A block stands right before the first block that reads it (a sink: right after the last it reads), on the
    longest way from a source. It follows the row of the predecessor that fewest others read, if that row is
    free, else it takes the first free one. O(edges + blocks x rows).
    """
    column: dict[str, int] = {}
    for name in workload.order:
        column[name] = max((column[edge.source] + 1 for edge in workload.predecessors[name]), default=0)
    for name in reversed(workload.order):
        column[name] = min((column[e.target] - 1 for e in workload.successors[name]), default=column[name])
    found: dict[str, tuple[int, int]] = {}
    until: dict[int, int] = {}
    for name in workload.order:
        before = [edge.source for edge in workload.predecessors[name]]
        before.sort(key=lambda other: (len(workload.successors[other]), -column[other], found[other][1]))
        wanted = [found[other][1] for other in before]
        row = next(r for r in [*wanted, *range(len(until) + 1)] if column[name] > until.get(r, -1))
        found[name] = (column[name], row)
        until[row] = column[name]
    return found


def dag_figure(
    name: str,
    told: str,
    found: list[Cell],
    stages: tuple[Stage, ...],
    workload: Workload,
    palette: Palette,
) -> Markup:
    """Return the figure of one pipeline.

    Parameters
    ----------
    name, told
        Title and description.
    found, stages, workload, palette
        The blocks, the stages of the pipeline, their DAG, and colours.
    """
    place = places(workload)
    columns = 1 + max(column for column, _ in place.values())
    rows = 1 + max(row for _, row in place.values())
    width = max(WIDTH, 22.0 * columns)
    step = width / columns
    box = max(12.0, min(120.0, step * 0.72))

    level = max(len(cell.name) for cell in found) <= _room(box)
    row_height = ROW if level else UPRIGHT_ROW

    def corner(block: str) -> tuple[float, float]:
        column, row = place[block]
        return column * step + (step - box) / 2, MARGIN + row * row_height

    stage_of = {cell.name: cell.stage for cell in found}
    lines: list[Child] = []
    for edge in workload.edges:
        (x1, y1), (x2, y2) = corner(edge.source), corner(edge.target)
        crossing = stage_of[edge.source] != stage_of[edge.target]
        if y1 == y2 and place[edge.target][0] > place[edge.source][0] + 1:
            lines.append(_skip((x1 + box / 2, y1), x2 + box / 2, crossing))
        elif place[edge.target][0] > place[edge.source][0] + 1:
            down = y2 > y1
            lines.append(_far((x1 + box, y1 + BOX / 2), (x2 + box / 2, y2 if down else y2 + BOX), crossing))
        else:
            lines.append(_edge((x1 + box, y1 + BOX / 2), (x2, y2 + BOX / 2), crossing))
    boxes = [_box(cell, corner(cell.name), box, stages[cell.stage], palette, level) for cell in found]
    height = MARGIN + rows * row_height
    drawing = figure(name, told, lines, boxes, viewBox=f"0 0 {width:.0f} {height:.0f}", class_="cut")
    return tag("div", drawing, class_="wide", style=f"--least:{max(760, 0.8 * width):.0f}px")


def _edge(start: tuple[float, float], end: tuple[float, float], crossing: bool) -> Markup:
    (x1, y1), (x2, y2) = start, end
    bend = max(6.0, (x2 - x1) / 2)
    path = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return tag("path", d=path, class_="edge crossing" if crossing else "edge")


def _skip(start: tuple[float, float], end: float, crossing: bool) -> Markup:
    """Draw an edge over the blocks between its ends, all of one row."""
    x, y = start
    path = f"M{x:.1f} {y:.1f}C{x:.1f} {y - 28:.1f} {end:.1f} {y - 28:.1f} {end:.1f} {y:.1f}"
    return tag("path", d=path, class_="edge crossing" if crossing else "edge")


def _far(start: tuple[float, float], end: tuple[float, float], crossing: bool) -> Markup:
    """Draw an edge to another row, past blocks there: it arrives from above or below."""
    (x1, y1), (x2, y2) = start, end
    approach = y2 - 50 if y2 > y1 else y2 + 50
    path = f"M{x1:.1f} {y1:.1f}C{(x1 + x2) / 2:.1f} {y1:.1f} {x2:.1f} {approach:.1f} {x2:.1f} {y2:.1f}"
    return tag("path", d=path, class_="edge crossing" if crossing else "edge")


def _room(width: float) -> int:
    """Return how many letters fit under a box."""
    return int(width * 1.35 / 6.4)


def _box(
    cell: Cell, corner: tuple[float, float], width: float, stage: Stage, palette: Palette, level: bool
) -> Markup:
    x, y = corner
    own = parts(stage)
    tops = accumulate((BOX * part.part for part in own), initial=y)
    bands = [
        tag("rect", x=x, y=top, width=width, height=BOX * part.part, fill=palette.fill(part.device))
        for part, top in zip(own, tops, strict=False)
    ]
    middle, below = x + width / 2, y + BOX
    number = tag("text", cell.stage, x=middle, y=y + BOX / 2 + 4.5, class_="mid ondevice")
    if level:
        label = tag("text", cell.name, x=middle, y=below + 14, class_="mid small")
    else:
        turn = f"rotate(-90 {middle:.1f} {below + 6:.1f})"
        name = cell.name if len(cell.name) <= 22 else cell.name[:14] + "…" + cell.name[-7:]
        label = tag("text", name, x=middle, y=below + 10, transform=turn, class_="end small")
    return tag("g", tag("title", cell.told), bands, number, label, class_="block")
