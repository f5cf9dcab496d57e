"""Figures for print: one style, colours for every kind of colour vision with markers and hatches, no dates.

3.5 inches wide is one column of a paper, 7.2 both; text is 7 to 8 points in either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.5, 7.2
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5c4a8a", "#6b6b6b")
"""Okabe and Ito's palette, told apart with every kind of colour vision; yellow is too light for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oooo", "----")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
INK, SOFT, LINE = "#1b2027", "#5b6572", "#dde1e6"

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,
    "svg.hashsalt": "partage",
    "figure.constrained_layout.use": True,
}


def style() -> AbstractContextManager[None]:
    """Return the style, to be drawn within."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def panels(
    rows: int = 1, columns: int = 1, *, width_in: float = COLUMN_IN, height_in: float = 2.3, **words: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row; call it within :func:`style`.

    Parameters
    ----------
    rows, columns
        Axes below and beside each other.
    width_in, height_in
        Size of the whole, inch.
    words
        Further words for ``Figure.subplots``, as ``sharey=True``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    grid = figure.subplots(rows, columns, squeeze=False, **words)
    return figure, [axes for line in grid for axes in line]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PDF and PNG whose bytes do not tell when they were made.

    Parameters
    ----------
    figure
        What is written.
    path
        Without suffix.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None, "Producer": None})
        figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})


def lines(
    axes: Axes,
    xs: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = True,
    log_y: bool = False,
    looks: Mapping[str, int] | None = None,
) -> None:
    """Draw a line a name over a common axis, as over bandwidth; gaps where there is no value.

    Parameters
    ----------
    axes
        Where.
    xs
        (num_points,), every one of which gets a tick on a logarithmic axis.
    series
        Name to (num_points,) values.
    x_label, y_label
        With units.
    log_x, log_y
        Whether an axis is logarithmic.
    looks
        Name to the number of its colour and marker, where several axes share their names.
    """
    for i, (name, values) in enumerate(series.items()):
        look = (looks or {}).get(name, i)
        ys = [math.nan if value is None else value for value in values]
        axes.plot(xs, ys, label=name, **_line_look(look))
    if log_x:
        axes.set_xscale("log")
        axes.set_xticks(list(xs), [f"{x:g}" for x in xs])
        axes.minorticks_off()
    if log_y:
        axes.set_yscale("log")
        _plain_numbers(axes)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _line_look(look: int) -> dict[str, Any]:
    colours, markers = (*COLOURS, INK), (*MARKERS, "<")
    marker, dash = markers[look % len(markers)], DASHES[look // len(COLOURS) % len(DASHES)]
    return {"color": colours[look % len(colours)], "marker": marker, "linestyle": dash}


def plain_log(axes: Axes, values: Sequence[float]) -> None:
    """Make the upright axis logarithmic, with decades and their 2 and 5 as plain numbers.

    Parameters
    ----------
    axes
        Where.
    values
        What is drawn; says how far ticks go.
    """
    axes.set_yscale("log")
    ticks = [digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5)]
    near = [tick for tick in ticks if min(values) / 1.5 <= tick <= max(values) * 1.5]
    if max(values) / min(values) > 100:
        near = [tick for tick in near if f"{tick:e}".startswith("1")]
    axes.set_yticks(near, [f"{tick:g}" for tick in near])
    axes.minorticks_off()


def _plain_numbers(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def bars(
    axes: Axes,
    groups: Sequence[str],
    stacks: Mapping[str, Sequence[Mapping[str, float] | None]],
    *,
    y_label: str,
    missing: str = "does not fit",
    hatches: Sequence[str] = HATCHES,
) -> None:
    """Draw grouped bars, each stacked of its parts: the bar's colour says whose it is, the hatch which part.

    Parameters
    ----------
    axes
        Where.
    groups
        (num_groups,), below the axis.
    stacks
        Name of a bar to (num_groups,) parts by name, from below; ``None`` where there is no value.
    y_label
        With the unit.
    missing
        Written where there is no value.
    hatches
        Of the parts; dots take ten times the bytes of lines in a PDF.
    """
    width = 0.84 / max(1, len(stacks))
    for i, (_, bars_of) in enumerate(stacks.items()):
        for g, parts in enumerate(bars_of):
            x = g - 0.42 + (i + 0.5) * width
            if parts is None:
                look = {"fontsize": 5.5, "color": COLOURS[i % len(COLOURS)]}
                axes.text(x, 0, f" {missing}", rotation=90, ha="center", va="bottom", **look)
                continue
            base = 0.0
            for p, value in enumerate(parts.values()):
                axes.bar(x, value, width * 0.9, bottom=base, **_bar_look(i, p, hatches))
                base += value
    axes.set_xticks(range(len(groups)), list(groups))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylabel(y_label)


def _bar_look(bar: int, part: int, hatches: Sequence[str] = HATCHES) -> dict[str, Any]:
    shade = COLOURS[bar % len(COLOURS)]
    fill = shade if part == 0 else _lighter(shade, 0.45 if part == 1 else 0.8)
    return {"facecolor": fill, "edgecolor": shade, "hatch": hatches[part], "linewidth": 0.6}


def _lighter(colour: str, by: float) -> str:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(value + (255 - value) * by):02x}" for value in rgb)


def bar_legend(
    figure: Figure, names: Sequence[str], parts: Sequence[str] = (), hatches: Sequence[str] = HATCHES
) -> None:
    """Put a legend of bars, and of their parts, above a figure.

    Parameters
    ----------
    figure
        Where.
    names, parts, hatches
        As in :func:`bars`, in their order.
    """
    from matplotlib.patches import Patch

    handles = [Patch(label=name, **_bar_look(i, 0)) for i, name in enumerate(names)]
    for p, part in enumerate(parts):
        look = _bar_look(7, p, hatches) if p else {"facecolor": COLOURS[7], "edgecolor": COLOURS[7]}
        handles.append(Patch(label=part, **look))
    _above(figure, handles)


def line_legend(figure: Figure, names: Sequence[str], looks: Mapping[str, int] | None = None) -> None:
    """Put a legend of lines above a figure.

    Parameters
    ----------
    figure
        Where.
    names, looks
        As in :func:`lines`, in their order.
    """
    from matplotlib.lines import Line2D

    numbers = [(looks or {}).get(name, i) for i, name in enumerate(names)]
    handles = [Line2D([], [], label=n, **_line_look(look)) for n, look in zip(names, numbers, strict=True)]
    _above(figure, handles, long=max(numbers, default=0) >= len(COLOURS))


def _above(figure: Figure, handles: list[Any], *, long: bool = False) -> None:
    """Put handles above a figure; long ones show dashes beside their marker."""
    fit = max(1, int(figure.get_figwidth() / (1.6 if long else 1.05)))
    rows = math.ceil(len(handles) / fit)
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=math.ceil(len(handles) / rows),
        columnspacing=1.2,
        handlelength=4.2 if long else None,
    )


def heat(
    axes: Axes,
    values: Sequence[Sequence[float | None]],
    *,
    columns: Sequence[str],
    rows: Sequence[str],
    texts: Sequence[Sequence[str]] | None = None,
    unit: str = "",
    largest: float | None = None,
) -> None:
    """Draw a table whose cells are shaded by their value, with the value in them.

    Parameters
    ----------
    axes
        Where.
    values
        (num_rows, num_columns); ``None`` is left blank.
    columns, rows
        Their names.
    texts
        Written in the cells instead of the values.
    unit
        Said below the table.
    largest
        Value of the darkest shade; the largest one if ``None``.
    """
    import numpy as np

    grid = np.array([[math.nan if v is None else v for v in line] for line in values], float)
    top = largest if largest is not None else float(np.nanmax(grid, initial=1e-12))
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=max(top, 1e-12) * 1.15, aspect="auto")
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            text = texts[i][j] if texts is not None else "" if value is None else f"{value:.3g}"
            dark = value is not None and value > 0.6 * top
            axes.text(j, i, text, ha="center", va="center", color="white" if dark else INK, fontsize=6.5)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(unit)


def cumulative(axes: Axes, series: Mapping[str, Sequence[float]], *, x_label: str, y_label: str) -> None:
    """Draw the empirical distribution of values, a step line a name.

    Parameters
    ----------
    axes
        Where.
    series
        Name to its values.
    x_label, y_label
        With units.
    """
    for i, (name, values) in enumerate(series.items()):
        xs = sorted(values)
        ys = [k / len(xs) for k in range(1, len(xs) + 1)]
        look = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}
        axes.step([xs[0], *xs], [0.0, *ys], where="post", label=name, **look)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
