"""SVG of a cut through a chain: width is work, height is the share of a device, stages have headings."""

from __future__ import annotations

from itertools import accumulate, groupby

from solver.plan import Stage
from solver.reporting.cut import Cell, Part, parts, stage_words
from solver.reporting.markup import Child, Markup, figure, tag
from solver.reporting.palette import Palette

WIDTH, TOP, NAMES = 1100.0, 34.0, 112.0
HEIGHT, SLIM = 124.0, 64.0
NARROWEST = 9.0

Interval = tuple[float, float]


def chain_figure(
    name: str,
    told: str,
    found: list[Cell],
    stages: tuple[Stage, ...],
    palette: Palette,
    *,
    slim: bool = False,
) -> Markup:
    """Return the figure of one pipeline.

    Parameters
    ----------
    name, told
        Title and description.
    found, stages, palette
        The blocks in order, the stages, and colours.
    slim
        Less high and without the names of blocks, where another figure below has them.
    """
    width = max(WIDTH, NARROWEST * len(found))
    widths = _widths(found, width)
    lefts = list(accumulate(widths, initial=0.0))
    height = SLIM if slim else HEIGHT
    shapes: list[Child] = []
    for number, group in groupby(range(len(found)), key=lambda i: found[i].stage):
        places = list(group)
        span = (lefts[places[0]], lefts[places[-1] + 1])
        shapes.append(_stage(number, stages[number], span, height, palette))
        for i in places:
            tip = tag("title", found[i].told)
            shapes.append(tag("rect", tip, x=lefts[i], y=TOP, width=widths[i], height=height, class_="block"))
        shapes.append(_labels(stages[number], span, height, palette))
    if not slim:
        shapes.append(_names(found, lefts, widths))
    total = TOP + height + (8 if slim else NAMES)
    drawing = figure(name, told, shapes, viewBox=f"0 0 {width:.0f} {total:.0f}", class_="cut")
    return tag("div", drawing, class_="wide", style=f"--least:{max(760, 0.8 * width):.0f}px")


def _widths(found: list[Cell], width: float) -> list[float]:
    """Share the width out by flop, with a least width for everybody."""
    total = sum(cell.flop for cell in found)
    if not total:
        return [width / len(found)] * len(found)
    least = min(26.0, 0.6 * width / len(found))
    return [least + (width - least * len(found)) * cell.flop / total for cell in found]


def _stage(number: int, stage: Stage, span: Interval, height: float, palette: Palette) -> Markup:
    """Draw a stage's bands, one per device, under its heading."""
    left, right = span[0] + 1.5, span[1] - 1.5
    width = right - left
    shapes: list[Child] = [
        tag("rect", x=left - 1, y=y, width=width + 2, height=high, fill=palette.fill(part.device))
        for part, (y, high) in _bands(stage, height)
    ]
    shapes += [
        tag("line", x1=left, x2=right, y1=y, y2=y, class_="split") for _, (y, _) in _bands(stage, height)[1:]
    ]
    shapes.append(tag("path", d=f"M{left:.1f} {TOP - 4:.0f}v-5H{right:.1f}v5", class_="bracket"))
    long = f"stage {number} · {stage_words(stage)}".removesuffix(" · ")
    heading = _fitting([long, f"stage {number}", str(number)], width, 12)
    shapes.append(tag("text", heading, x=(left + right) / 2, y=TOP - 14, class_="mid strong"))
    return tag("g", shapes)


def _bands(stage: Stage, height: float) -> list[tuple[Part, Interval]]:
    """Return (part, (top, height)) of every device of a stage."""
    own = parts(stage)
    tops = accumulate((height * part.part for part in own), initial=TOP)
    return [(part, (y, height * part.part)) for part, y in zip(own, tops, strict=False)]


def _labels(stage: Stage, span: Interval, height: float, palette: Palette) -> Markup:
    bands = _bands(stage, height)
    return tag("g", [_across(part, len(bands) > 1, span, down, palette) for part, down in bands])


def _across(part: Part, shared: bool, across: Interval, down: Interval, palette: Palette) -> Markup | None:
    """Write a device's name over its band, upright where the stage is narrow."""
    width, height = across[1] - across[0] - 3, down[1]
    x, y = sum(across) / 2, down[0] + down[1] / 2
    long = f"{part.device} · {part.words}" if shared else part.device
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
    """Write block names upright under the blocks; those that would collide are left out."""
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
