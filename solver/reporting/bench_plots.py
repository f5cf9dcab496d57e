"""Figures of a bench as PNG: performance profiles and anytime curves, each line labelled where it ends."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from solver.bench.anytime import Curve
from solver.bench.profile import Profile

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5c4a8a", "#6b6b6b")
"""Okabe and Ito's palette, told apart with every kind of colour vision; yellow is too light for lines."""

DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
INK, SOFT, LINE = "#1b2027", "#5b6572", "#dde1e6"
LEAST_GAP = 1e-3
MOST_RATIO = 100.0

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
}


def looks(solvers: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return colour and dashes of every solver, the same in every figure.

    Parameters
    ----------
    solvers
        In the order of the table.
    """
    count = len(COLOURS)
    return {name: (COLOURS[i % count], DASHES[i // count % len(DASHES)]) for i, name in enumerate(solvers)}


def score_profile_png(profiles: Mapping[str, Profile], solvers: Sequence[str], about: str) -> bytes:
    """Return the performance profile of scores.

    Parameters
    ----------
    profiles
        Of every solver.
    solvers
        In the order of the table.
    about
        What was run, for the line below the title.
    """
    excess = {name: one.ratios - 1.0 for name, one in profiles.items()}
    finite = [float(value) for values in excess.values() for value in values if value < MOST_RATIO]
    end = min(MOST_RATIO, max([0.02, *finite]) * 1.15)
    with _figure("How close to the best score", about, "share of problems") as (figure, axes):
        axes.set_xscale("symlog", linthresh=LEAST_GAP, linscale=0.45)
        axes.set_xlim(0, end)
        ticks = [0.0, *(tick for tick in (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0) if tick <= end)]
        words = {0.0: "best", 1e-3: "+0.1 %", 1e-2: "+1 %", 0.1: "+10 %"}
        axes.set_xticks(ticks, [words.get(tick, f"×{1 + tick:g}") for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("score at most this much above the best of these solvers")
        steps = {name: ([0.0, *excess[name]], profiles[name]) for name in solvers if name in profiles}
        _draw_profiles(axes, steps, solvers, end)
        return _png(figure)


def time_profile_png(profiles: Mapping[str, Profile], solvers: Sequence[str], about: str) -> bytes:
    """Return the performance profile of times to a proven answer.

    Parameters
    ----------
    profiles, solvers, about
        As in :func:`score_profile_png`.
    """
    largest = max((float(one.ratios[-1]) for one in profiles.values() if len(one.ratios)), default=1.0)
    end = max(2.0, largest * 1.15)
    with _figure("How fast to a proven answer", about, "share of the problems that anybody proved") as (
        figure,
        axes,
    ):
        axes.set_xscale("log")
        axes.set_xlim(1, end)
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 1e3, 1e4, 1e5) if tick <= end]
        axes.set_xticks(ticks, ["fastest", *(f"×{tick:g}" for tick in ticks[1:])])
        axes.minorticks_off()
        axes.set_xlabel("time to proof at most this many times the fastest")
        steps = {
            name: ([1.0, *profiles[name].ratios], profiles[name]) for name in solvers if name in profiles
        }
        _draw_profiles(axes, steps, solvers, end)
        return _png(figure)


def _draw_profiles(
    axes: Any, steps: Mapping[str, tuple[list[float], Profile]], solvers: Sequence[str], end: float
) -> None:
    look = looks(solvers)
    axes.set_ylim(-0.02, 1.03)
    _percent(axes)
    ends = []
    for name, (starts, profile) in steps.items():
        colour, dashes = look[name]
        heights = [i / max(1, profile.num_problems) for i in range(len(starts))]
        inside = sum(start <= starts[0] for start in starts) - 1  # the line begins at its first height
        x, y = [*starts[inside:], end], [*heights[inside:], heights[-1]]
        axes.step(x, y, where="post", color=colour, linestyle=dashes, lw=2)
        ends.append((max(h for at, h in zip(starts, heights, strict=True) if at <= end), name))
    _label_ends(axes, ends, look, 0.052)


def anytime_png(curves: Mapping[str, Curve], solvers: Sequence[str], about: str) -> bytes:
    """Return primal gap over time: mean over cases; the band is the standard error of that mean.

    Parameters
    ----------
    curves
        Of every solver.
    solvers, about
        As in :func:`score_profile_png`.
    """
    look = looks(solvers)
    with _figure(
        "How good at every moment", about, "primal gap: mean over the cases; the band is its standard error"
    ) as (figure, axes):
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=LEAST_GAP, linscale=0.5)
        axes.set_ylim(-0.00006, 1.3)
        axes.set_yticks([0, 1e-3, 1e-2, 0.1, 1.0], ["0", "0.1 %", "1 %", "10 %", "100 %"])
        axes.grid(axis="y")
        axes.minorticks_off()
        axes.set_xlabel("seconds since the solver began")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ends = []
        for name in (one for one in solvers if one in curves):
            curve, (colour, dashes) = curves[name], look[name]
            axes.set_xlim(curve.times_s[0], curve.times_s[-1])
            axes.fill_between(
                curve.times_s, curve.low, curve.high, step="post", color=colour, alpha=0.14, lw=0
            )
            axes.step(curve.times_s, curve.mean, where="post", color=colour, linestyle=dashes, lw=2)
            ends.append((float(curve.mean[-1]), name))
        _label_ends(axes, ends, look, 0.052)
        return _png(figure)


@contextmanager
def _figure(title: str, about: str, upright: str) -> Iterator[tuple[Any, Any]]:
    """Give an empty figure with a title and what it is about, and its axes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = _STYLE
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.6, 4.6), dpi=160, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.085, 0.12, 0.695, 0.685))
        figure.text(0.022, 0.945, title, size=14, weight="bold", va="center")
        figure.text(0.022, 0.888, about, size=9.5, color=SOFT, va="center")
        figure.text(0.022, 0.833, upright, size=9.5, color=SOFT, va="center", style="italic")
        yield figure, axes


def _percent(axes: Any) -> None:
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="y")


def _label_ends(axes: Any, ends: Sequence[tuple[float, str]], look: Mapping[str, Any], line: float) -> None:
    """Write every name to the right of where its line ends, names apart from each other."""
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    placed = [(float(to_axes.transform((x, value))[1]), name) for value, name in ends]
    placed.sort(key=lambda pair: -pair[0])  # stable: equal ones in the order of the table
    heights = spread([height for height, _ in placed], line)
    for (height, name), at in zip(placed, heights, strict=True):
        colour, dashes = look[name]
        axes.plot(
            [1.004, 1.028],
            [height, at],
            transform=axes.transAxes,
            color=colour,
            lw=1,
            clip_on=False,
            alpha=0.7,
        )
        axes.plot(
            [1.028, 1.062],
            [at, at],
            transform=axes.transAxes,
            color=colour,
            linestyle=dashes,
            lw=2,
            clip_on=False,
        )
        axes.text(1.07, at, name, transform=axes.transAxes, color=colour, size=9.5, va="center")


def spread(heights: Sequence[float], least: float) -> list[float]:
    """Return heights moved as little as need be so that neighbours lie ``least`` apart.

    Parameters
    ----------
    heights
        Descending.
    least
        Least distance.

    Notes
    -----
    Neighbours that are too close merge into blocks, each centred on the mean of its members: the least
    squares solution (pool adjacent violators).
    """
    blocks: list[tuple[float, int]] = []  # (sum of the wished heights of the first line, lines)
    for place, height in enumerate(heights):
        blocks.append((height + place * least, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] < blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = (blocks[-1][0] + total, blocks[-1][1] + count)
    flat = [total / count for total, count in blocks for _ in range(count)]
    return [height - place * least for place, height in enumerate(flat)]


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
