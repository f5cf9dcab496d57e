"""HTML report: one self-contained page that needs no network, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan
from solver.report import Report
from solver.reporting import sections
from solver.reporting.estimates import estimates_used
from solver.reporting.markup import Child, Markup, tag
from solver.reporting.measured import Measured
from solver.reporting.page import FOLDER, page, section
from solver.reporting.palette import Palette
from solver.reporting.svg_bars import energy_figure, memory_figure
from solver.reporting.svg_cluster import cluster_figure
from solver.reporting.svg_cut import cut_figures
from solver.reporting.svg_loss import loss_figure
from solver.reporting.svg_timeline import timeline_figure
from solver.status import Solution


def html_report(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    report: Report,
    *,
    measured: Measured | None = None,
    solution: Solution | None = None,
    title: str | None = None,
    extra: Sequence[tuple[str, str, Child]] = (),
    again: Sequence[str] = (),
) -> str:
    """Return the page.

    Parameters
    ----------
    plan, workload, cluster
        The decision, and what it names.
    report
        What the plan costs.
    measured
        What a run of it found; shown beside the prediction.
    solution
        Who found the plan, and how good it is.
    title
        Heading of the page.
    extra
        Sections that come before all others: heading, a sentence or two, and what is in it.
    again
        Commands that give the page again, where its files have other names than a plan's.

    Notes
    -----
    Style and script are inside the page, and its content policy forbids every request. Texts of documents
    are escaped where elements are built (:mod:`solver.reporting.markup`).
    """
    heading = title or f"{workload.name} on {cluster.name}"
    parts: list[Child] = [
        _header(heading, plan, workload, cluster, report),
        sections.warnings(report, measured),
        *(section(*one) for one in extra),
        *_figures(plan, workload, cluster, report, measured),
        *_ending(plan, workload, cluster, measured, solution, again),
    ]
    return page(heading, parts, script=(FOLDER / "report.js").read_text(encoding="utf-8"))


def _figures(
    plan: Plan, workload: Workload, cluster: Cluster, report: Report, measured: Measured | None
) -> list[Child]:
    """Return what every page has."""
    palette = Palette([device.name for device in cluster.devices])
    estimated = bool(estimates_used(plan, cluster))
    about = "Predicted over measured on one time axis." if measured is not None else "Predicted."
    network = [
        cluster_figure(plan, cluster, report, measured, palette),
        sections.traffic_table(cluster, report, measured),
    ]
    bars = [
        section("Memory", "Peak, by what it is made of.", memory_figure(report, measured, palette)),
        section(
            "Energy",
            "Of a step, whole boards; "
            + ("modelled, not measured." if report.energy_is == "modelled" else f"power {report.energy_is}."),
            energy_figure(report, palette),
        ),
    ]
    return [
        palette.definitions(),
        sections.tiles(report, measured, estimated),
        tag("p", "~ rests on estimates, listed below.", class_="note") if estimated else None,
        section("The cut", _cut_words(workload), cut_figures(plan, workload, palette)),
        section("Timeline", about, timeline_figure(report, measured, palette)),
        section("Cluster and traffic", _traffic_words(report), network),
        section("Devices", "", sections.device_table(plan, cluster, report, measured, palette)),
        tag("div", bars, class_="pair"),
    ]


def _header(heading: str, plan: Plan, workload: Workload, cluster: Cluster, report: Report) -> Markup:
    job = plan.job
    words = [
        "training" if job.kind == "train" else "serving",
        f"{job.batch} samples a step" if job.kind == "train" else f"{job.batch} requests' samples",
        *([job.optimizer] if job.kind == "train" else []),
        job.precision,
        *([f"LoRA rank {job.lora_rank}"] if job.tune == "lora" else []),
        plan.schedule.upper() if plan.schedule == "1f1b" else "GPipe",
    ]
    chip = tag("span", "keeps every limit", class_="chip good") if report.is_feasible else None
    chip = chip or tag("span", f"{len(report.violations)} limits broken", class_="chip bad")
    described = [
        tag("p", text, class_="about") for text in (workload.description, cluster.description) if text
    ]
    return tag("header", tag("h1", heading), tag("p", chip, " ", " · ".join(words), class_="sub"), described)


def _cut_words(workload: Workload) -> str:
    width = "Width is work (flop)" if workload.is_chain else "Numbers are stages, strong lines cross them"
    return f"{width}; height is the share of a device. Point at a block for its figures."


def _traffic_words(report: Report) -> str:
    span = "a step" if report.program.num_steps == 1 else f"a round of {report.program.num_steps} steps"
    words = f"Arcs are bytes of {span}, collectives hop by hop. ~ marks an estimate."
    if report.raw_bytes:
        words += f" {report.raw_bytes:,} bytes are raw data that leave their owner."
    if report.untrusted_bytes:
        words += f" {report.untrusted_bytes:,} bytes cross to a lower level of trust."
    if report.overflow_tokens:
        words += f" Experts have no room for {report.overflow_tokens:,.6g} tokens."
    return words


def _ending(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    measured: Measured | None,
    solution: Solution | None,
    again: Sequence[str],
) -> list[Markup]:
    """Return the sections that depend on what is given, and the last ones."""
    found = []
    if measured is not None and measured.losses:
        about = (
            "Loss of every step beside the undivided run."
            if measured.reference_losses
            else "Loss of every step."
        )
        found.append(section("Training", about, loss_figure(measured)))
    if solution is not None:
        about = "Status, bound and gap hold for the space."
        found.append(section("How good it is", about, sections.solution_section(solution)))
    pairs = [tag("div", found, class_="pair")] if found else []
    return [
        *pairs,
        section("Where the numbers come from", "", sections.estimate_section(plan, cluster, workload)),
        section("How to get this again", "", sections.reproduce_section(plan, solution, measured, again)),
    ]
