"""Tables for the terminal: a plan, its devices, predicted beside measured, and several plans side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from models.cluster import Cluster
from solver.plan import Plan
from solver.report import Report
from solver.reporting import units
from solver.reporting.accounts import account_columns, account_sums
from solver.reporting.cut import parts, roles, stage_words
from solver.reporting.estimates import estimates_used
from solver.reporting.figures import by_device, energy_heading, headline
from solver.reporting.measured import Measured

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from solver.execution.state.deployment import Manifest

BETTER_IF_LARGER = ("throughput", "battery life")
COMPARED: dict[str, tuple[Callable[[Report], float], Callable[[float], str]]] = {
    "step time": (lambda report: report.step_time_s, units.seconds),
    "throughput": (lambda report: report.samples_per_s, lambda value: f"{units.digits(value)}/s"),
    "bottleneck": (lambda report: report.bottleneck_s, units.seconds),
    "energy (modelled)": (lambda report: report.energy_j, units.energy),
    "peak memory": (lambda report: float(report.peak_memory_bytes), units.size),
    "traffic": (lambda report: float(report.traffic_bytes), units.size),
    "bubble": (lambda report: report.bubble, units.percent),
}
"""What is compared: how to get it, and how to say it."""


def _table(title: str, *, caption: str = "") -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    said = Text(caption, style="dim") if caption else None
    return Table(
        title=Text(title, style="bold"),
        caption=said,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )


def _text(value: str, style: str = "") -> Text:
    """Return a text whose brackets are not taken for markup."""
    from rich.text import Text

    return Text(value, style=style)


def plan_table(plan: Plan) -> Table:
    """Return the stages of a plan: blocks, devices and their shares.

    Parameters
    ----------
    plan
        The plan.
    """
    table = _table(f"{plan.workload.name} on {plan.cluster.name}, {plan.schedule}")
    for name in ("stage", "blocks", "devices and shares", "notes"):
        table.add_column(name)
    several = len(plan.pipelines) > 1
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            first, last, count = stage.blocks[0], stage.blocks[-1], len(stage.blocks)
            blocks = first if count == 1 else f"{count}: {first} … {last}"
            own = parts(stage)
            shares = ", ".join(part.device + (f" {part.words}" if len(own) > 1 else "") for part in own)
            table.add_row(f"{p}.{s}" if several else str(s), _text(blocks), _text(shares), stage_words(stage))
        size = f"{pipeline.num_micro_batches} micro-batches of {pipeline.samples}"
        table.add_row(
            "", "", _text(f"pipeline {p}: {size}" if several else size, "dim"), "", end_section=True
        )
    return table


def device_table(plan: Plan, cluster: Cluster, report: Report, measured: Measured | None = None) -> Table:
    """Return the figures of every device; energy is modelled, ``~`` marks devices with estimated figures.

    Parameters
    ----------
    plan, cluster, report, measured
        The plan, its devices, what was predicted, and what a run found.
    """
    estimated = {name for estimate in estimates_used(plan, cluster) for name in estimate.devices}
    caption = "~ rests on estimates: partage list devices shows them" if estimated else ""
    table = _table("Devices", caption=caption)
    ran = measured is not None
    words = ["device", "role"]
    figures = [
        "busy",
        *(["measured"] if ran else []),
        "used",
        "memory",
        *(["measured"] if ran else []),
        "limit",
    ]
    for name in words:
        table.add_column(name)
    extra = account_columns(report)
    for name in [*figures, energy_heading(report), "sent", "received", *extra]:
        table.add_column(name, justify="right")
    for d in by_device(report, roles(plan), measured):
        row = [_text(d.device + " ~" * (d.device in estimated)), _text(d.role), _text(d.busy)]
        row += [*([_text(d.measured_busy)] if ran else []), _text(d.utilisation)]
        row += [_text(d.memory, "bold red" if d.over else ""), *([_text(d.measured_memory)] if ran else [])]
        row += [_text(value) for value in (d.limit, d.energy, d.sent, d.received)]
        row += [_text(column.get(d.device, units.NONE)) for column in extra.values()]
        table.add_row(*row)
    return table


def headline_table(report: Report, measured: Measured | None = None) -> Table:
    """Return the headline figures, predicted beside measured.

    Parameters
    ----------
    report, measured
        What was predicted, and what a run found.
    """
    table = _table("Predicted and measured" if measured is not None else "Predicted")
    table.add_column("figure")
    table.add_column("predicted", justify="right")
    if measured is not None:
        table.add_column("measured", justify="right")
        table.add_column("difference", justify="right")
    table.add_column("")
    for figure in headline(report, measured):
        row = [_text(figure.name), _text(figure.predicted, "bold")]
        if measured is not None:
            row += [_text(figure.measured or units.NONE), _text(figure.difference)]
        table.add_row(*row, _text(figure.note, "dim"))
    if measured is not None and measured.overruns:
        note = "the times prove nothing: run again with a larger dilation"
        table.add_row("Overruns", "", _text(f"{measured.overruns:,}", "bold red"), "", _text(note, "red"))
    return table


def placing_table(manifest: Manifest) -> Table:
    """Return what every device of a deployment holds, and when it has it.

    Parameters
    ----------
    manifest
        What the deployment says of itself.
    """
    table = _table(f"Weights of {manifest.workload} on {manifest.cluster}")
    table.add_column("device")
    for name in ("blocks", "weights", "copies of others", "there after", "peak in training", "limit"):
        table.add_column(name, justify="right")
    for name, place in manifest.devices.items():
        copies = units.size(place.backup_bytes) if place.backups else units.NONE
        cells = [name, str(len(place.blocks)), units.size(place.weight_bytes), copies]
        cells += [units.seconds(place.there_s), units.size(place.peak_bytes), units.size(place.limit_bytes)]
        table.add_row(*map(_text, cells))
    return table


def violation_table(report: Report) -> Table:
    """Return the limits a plan breaks, with numbers.

    Parameters
    ----------
    report
        What the plan costs.
    """
    table = _table(f"{len(report.violations)} limits broken")
    for name in ("limit", "where", "what"):
        table.add_column(name)
    for v in report.violations:
        table.add_row(_text(v.limit, "bold red"), _text(v.where), _text(v.message))
    return table


def comparison_table(reports: Mapping[str, Report]) -> Table:
    """Return several plans side by side, each figure also as a multiple of the first plan's.

    Parameters
    ----------
    reports
        Name of each plan to what it costs; the first is what the others are compared with.
    """
    table = _table("Plans", caption="× of the first plan; the best feasible one in bold; energy is modelled")
    table.add_column("figure")
    for name in reports:
        table.add_column(_text(name), justify="right")
    feasible = {name for name, report in reports.items() if report.is_feasible} or set(reports)
    for name, (figure, said) in COMPARED.items():
        cells = {plan: (figure(report), said(figure(report))) for plan, report in reports.items()}
        table.add_row(_text(name), *_compared(name, cells, feasible))
    sums = {plan: account_sums(report) for plan, report in reports.items()}
    for name in dict.fromkeys(name for found in sums.values() for name in found):
        known = {plan: found[name] for plan, found in sums.items() if name in found}
        shown = dict(zip(known, _compared(name, known, feasible), strict=True))
        table.add_row(_text(name), *(shown.get(plan, _text(units.NONE)) for plan in reports))
    limits = [
        _text("kept", "green")
        if report.is_feasible
        else _text(f"{len(report.violations)} broken", "bold red")
        for report in reports.values()
    ]
    table.add_row("limits", *limits)
    return table


def _compared(name: str, cells: Mapping[str, tuple[float, str]], feasible: set[str]) -> list[Text]:
    """Return a row of several plans: figures in words, as multiples of the first, the best in bold."""
    candidates = [value for plan, (value, _) in cells.items() if plan in feasible]
    best = (max if name in BETTER_IF_LARGER else min)(candidates, default=None)
    (first, *_), row = cells, []
    for plan, (value, words) in cells.items():
        ratio = f"  {value / cells[first][0]:.2f}×" if plan != first and cells[first][0] else ""
        wins = plan in feasible and value == best and len(cells) > 1
        row.append(_text(words + ratio, "bold" if wins else ""))
    return row
