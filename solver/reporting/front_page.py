"""Front page: non-dominated plans as one self-contained HTML page; every point of the plot opens its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solver.loading import Loaded
from solver.problem import OBJECTIVES
from solver.report import Report
from solver.reporting import sections, units
from solver.reporting.estimates import estimates_used
from solver.reporting.markup import Child, Markup, tag
from solver.reporting.objectives import in_words
from solver.reporting.page import FOLDER, page, section
from solver.reporting.palette import Palette
from solver.reporting.svg_bars import energy_figure, memory_figure
from solver.reporting.svg_cut import cut_figures
from solver.reporting.svg_front import Point, front_figure


@dataclass(frozen=True)
class Shown:
    """A plan of the front.

    Parameters
    ----------
    name
        Name of its file, without suffix: it names its part of the page.
    loaded, report
        The plan with what it names, and what it costs.
    figures
        By objective.
    found_by
        What was minimised, under which limits.
    page
        Name of a page of its own beside this one, if there is one.
    """

    name: str
    loaded: Loaded
    report: Report
    figures: dict[str, float]
    found_by: str
    page: str | None = None


def front_page(objectives: Sequence[str], plans: Sequence[Shown]) -> str:
    """Return the page.

    Parameters
    ----------
    objectives
        Two or more; the first is drawn against each of the others.
    plans
        The front, at least one plan, in its order.
    """
    first = plans[0].loaded
    heading = f"Plans of {first.workload.name} on {first.cluster.name}"
    palette = Palette([device.name for device in first.cluster.devices])
    about = "Every plan is best in something: no other one found is at least as good in all of it."
    parts: list[Child] = [
        tag("header", tag("h1", heading), tag("p", _words(objectives, plans), class_="sub")),
        palette.definitions(),
        section(
            "The front",
            f"{about} Point at one for its figures; open it by click or Enter.",
            [[_plot(objectives, plans, other) for other in objectives[1:]], _table(objectives, plans)],
        ),
        [_plan(i, shown, palette) for i, shown in enumerate(plans)],
    ]
    style, script = ((FOLDER / f"front.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return page(heading, parts, style=style, script=script)


def _words(objectives: Sequence[str], plans: Sequence[Shown]) -> str:
    job = plans[0].loaded.plan.job
    named = "; ".join(OBJECTIVES[name][0] for name in objectives)
    return f"{len(plans)} non-dominated plans by: {named} · {job.batch} samples a step · figures are modelled"


def _plot(objectives: Sequence[str], plans: Sequence[Shown], other: str) -> Markup:
    """Return the first objective against another."""
    first = objectives[0]
    points = [
        Point(shown.figures[first], shown.figures[other], shown.name, str(i + 1), _told(i, objectives, shown))
        for i, shown in enumerate(plans)
    ]
    return front_figure(
        points,
        (OBJECTIVES[first][0], OBJECTIVES[other][0]),
        (lambda value: in_words(first, value), lambda value: in_words(other, value)),
        is_stepped=len(objectives) == 2,
    )


def _told(index: int, objectives: Sequence[str], shown: Shown) -> str:
    figures = ", ".join(f"{name} {in_words(name, shown.figures[name])}" for name in objectives)
    return f"plan {index + 1}: {figures}, on {', '.join(_devices(shown))}"


def _devices(shown: Shown) -> list[str]:
    return sorted(shown.report.utilisation)


def _table(objectives: Sequence[str], plans: Sequence[Shown]) -> Markup:
    heads: list[Child] = ["plan", "devices", "found as", *objectives]
    rows: list[list[Child]] = [
        [
            tag("a", f"plan {i + 1}", href=f"#{shown.name}", class_="topoint"),
            ", ".join(_devices(shown)),
            shown.found_by,
            *(in_words(name, shown.figures[name]) for name in objectives),
        ]
        for i, shown in enumerate(plans)
    ]
    return sections.table(heads, rows, "Plans of the front", words=3)


def _plan(index: int, shown: Shown, palette: Palette) -> Markup:
    """Return the part of the page that a point opens."""
    loaded, report = shown.loaded, shown.report
    estimated = bool(estimates_used(loaded.plan, loaded.cluster))
    more = tag("a", "Its own page, with timeline and traffic", href=shown.page) if shown.page else None
    identity = f"{shown.name}-title"
    parts: list[Child] = [
        tag("h2", f"Plan {index + 1}", id=identity),
        tag("p", shown.found_by, " · ", f"{shown.name}.json", " · " if more else None, more, class_="about"),
        sections.warnings(report, None),
        sections.tiles(report, None, estimated),
        tag("h3", "The cut"),
        cut_figures(loaded.plan, loaded.workload, palette),
        tag("h3", "Devices"),
        sections.device_table(loaded.plan, loaded.cluster, report, None, palette),
        tag("h3", f"Energy of a step ({report.energy_is}, whole boards): {units.energy(report.energy_j)}"),
        energy_figure(report, palette),
        tag("h3", "Peak memory"),
        memory_figure(report, None, palette),
    ]
    return tag("section", parts, id=shown.name, class_="planof", tabindex=-1, aria_labelledby=identity)
