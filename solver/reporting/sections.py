"""Sections of the page that are text and tables."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan
from solver.report import Report
from solver.reporting import units
from solver.reporting.accounts import account_columns
from solver.reporting.cut import roles
from solver.reporting.estimates import estimates_used
from solver.reporting.figures import by_device, energy_heading, headline
from solver.reporting.markup import Child, Markup, join, tag
from solver.reporting.measured import Measured
from solver.reporting.network import Picture
from solver.reporting.palette import Palette
from solver.status import Solution

MOST_PAIRS = 40
MOST_PLAN_BYTES = 60_000


def table(heads: Sequence[Child], rows: Sequence[Sequence[Child]], caption: str, words: int = 1) -> Markup:
    """Return a table that scrolls in a narrow window.

    Parameters
    ----------
    heads, rows
        Its cells.
    caption
        What it is, read aloud.
    words
        How many of the first columns hold words; the others hold figures.
    """
    head = tag(
        "tr",
        [tag("th", cell, scope="col", class_=None if i < words else "num") for i, cell in enumerate(heads)],
    )
    body = [
        tag("tr", [tag("td", cell, class_=None if i < words else "num") for i, cell in enumerate(row)])
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag("div", whole, class_="wide")


def tiles(report: Report, measured: Measured | None, rests_on_estimates: bool) -> Markup:
    """Return the headline figures as tiles."""
    found = []
    for figure in headline(report, measured):
        mark = (
            "~"
            if rests_on_estimates and figure.name in ("Step time", "Throughput", "Energy of a step")
            else ""
        )
        main = figure.predicted
        lines: list[Child] = []
        if figure.name.endswith("difference"):
            main, mark = figure.measured, ""
        elif figure.measured:
            look = "same" if figure.difference == "exact" else "diff"
            difference = tag("span", figure.difference, class_=look)
            lines.append(tag("div", "measured ", tag("b", figure.measured), " ", difference, class_="also"))
        if figure.note:
            lines.append(tag("div", figure.note, class_="small"))
        found.append(
            tag(
                "div",
                tag("div", figure.name, class_="label"),
                tag("div", _big(mark + main), class_="big"),
                lines,
                class_="tile",
            )
        )
    return tag("div", found, class_="tiles")


def _big(text: str) -> Markup:
    """Return a figure with its unit in smaller letters."""
    number, _, unit = text.partition(" ")
    return join([number, tag("span", f" {unit}") if unit else None])


def warnings(report: Report, measured: Measured | None) -> Markup:
    """Return what is wrong with the plan or the run; nothing if all is well."""
    found: list[Child] = []
    if report.violations:
        count = len(report.violations)
        title = f"This plan breaks {count} limit" + ("s" if count > 1 else "")
        items = [
            tag(
                "li",
                tag("b", v.limit),
                f" {v.where}: " if v.where else ": ",
                v.message,
                _excess(v.given, v.allowed, v.unit),
            )
            for v in report.violations
        ]
        found.append(tag("div", tag("h2", title), tag("ul", items), class_="alarm", role="alert"))
    if measured is not None and measured.failure:
        text = f"{measured.failure}. What is shown as measured ends there."
        found.append(tag("div", tag("h2", "The run broke off"), tag("p", text), class_="alarm"))
    if measured is not None and measured.overruns:
        text = (
            f"{measured.overruns:,} operations took this machine longer than the emulated device, so the "
            "measured times prove nothing about the prediction (the training itself is not affected). "
            "Run it again with a larger dilation, or on a quieter machine."
        )
        found.append(tag("div", tag("h2", "Overruns"), tag("p", text), class_="caution"))
    if measured is not None and measured.mode == "raw":
        text = "Raw mode: no device was emulated; measured times are those of the machine it ran on."
        found.append(tag("div", tag("p", text), class_="caution"))
    return join(found)


def _excess(given: float, allowed: float, unit: str) -> str:
    if not allowed or given <= allowed:
        return ""
    more = f"{units.percent(given / allowed - 1)} too much"
    return f" — {units.size(given)} of {units.size(allowed)}, {more}" if unit == "bytes" else f" — {more}"


def device_table(
    plan: Plan, cluster: Cluster, report: Report, measured: Measured | None, palette: Palette
) -> Markup:
    """Return the figures of every device."""
    ran = measured is not None
    heads: list[Child] = [
        "device",
        "role",
        "busy",
        *(["busy, measured"] if ran else []),
        "of the time",
        "peak memory",
    ]
    extra = account_columns(report)
    heads += [*(["peak, measured"] if ran else []), "limit", energy_heading(report), "sent", "received"]
    heads += extra
    rows: list[Sequence[Child]] = []
    for d in by_device(report, roles(plan), measured):
        kind = cluster.by_name[d.device].kind
        name = [
            palette.swatch(d.device),
            tag("b", d.device),
            tag("span", f" {kind}", class_="small") if kind else None,
        ]
        memory = tag("span", d.memory, class_="over" if d.over else None)
        row: list[Child] = [tag("span", name, class_="nowrap"), _role(d.role), d.busy]
        row += [*([d.measured_busy] if ran else []), d.utilisation, memory]
        row += [*([d.measured_memory] if ran else []), d.limit, d.energy, d.sent, d.received]
        row += [column.get(d.device, units.NONE) for column in extra.values()]
        rows.append(row)
    return table(heads, rows, "Figures by device", words=2)


def _role(role: str) -> Child:
    return tag("span", role, class_="nowrap") if len(role) < 32 else role


def traffic_table(cluster: Cluster, report: Report, measured: Measured | None) -> Markup | None:
    """Return the bytes between every two devices, the most talkative pairs first."""
    flows = Picture(cluster).flows(report, measured)
    lines: list[tuple[str, str, int, int | None]] = []
    for flow in flows:
        lines.append((flow.first, flow.second, flow.there, flow.measured_there))
        lines.append((flow.second, flow.first, flow.back, flow.measured_back))
    lines = [line for line in lines if line[2] or line[3]]
    if not lines:
        return None
    ran = any(line[3] is not None for line in lines)
    rows: list[Sequence[Child]] = []
    for a, b, predicted, counted in lines[:MOST_PAIRS]:
        link = cluster.link(a, b)
        way = f"{units.rate(link.bytes_per_s)}, {units.seconds(link.latency_s)}"
        row: list[Child] = [f"{a} → {b}", way, f"{predicted:,}"]
        if ran:
            row += [f"{counted:,}" if counted is not None else units.NONE]
        rows.append(row)
    heads = ["from → to", "rate, latency", "bytes", *(["bytes, measured"] if ran else [])]
    more = f"{len(lines) - MOST_PAIRS} quieter pairs are not listed." if len(lines) > MOST_PAIRS else ""
    body = join(
        [table(heads, rows, "Bytes by pair", words=2), tag("p", more, class_="note") if more else None]
    )
    return tag("details", tag("summary", f"Bytes by pair of devices ({len(lines)})"), body)


def solution_section(solution: Solution) -> Markup:
    """Return how good the plan is, and how much better any plan of the space could be."""
    gap = units.percent(solution.gap) if solution.gap is not None else units.NONE
    rows: list[Sequence[Child]] = [
        ["status", [tag("b", solution.status.name), f": {solution.status.value}"]],
        ["score", _number(solution.score)],
        [
            "bound",
            [
                _number(solution.bound),
                " (no plan of the space scores less)" if solution.bound is not None else "",
            ],
        ],
        ["gap", gap],
        ["space", str(solution.space)],
        ["solver", f"{solution.solver}, seed {solution.seed}, {units.seconds(solution.wall_s)}"],
    ]
    if solution.reason:
        rows.append(["why it stopped", solution.reason])
    if len(solution.incumbents) > 1:
        steps = [
            f"{units.digits(i.score, 5)} after {units.seconds(i.wall_s)}" for i in solution.incumbents[-6:]
        ]
        rows.append(["best plans over time", "; ".join(steps)])
    lines = [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows]
    return tag("dl", lines)


def _number(value: float | None) -> str:
    return units.NONE if value is None else f"{value:,.6g}"


def estimate_section(plan: Plan, cluster: Cluster, workload: Workload) -> Markup:
    """Return what nobody measured, and where the other numbers come from."""
    used = estimates_used(plan, cluster)
    rows: list[Sequence[Child]] = [
        [tag("code", e.figure), ", ".join(e.devices), f"{e.value:,.6g} {e.unit}", e.reasoning] for e in used
    ]
    parts: list[Child] = []
    if used:
        text = "The prediction rests on these figures, which nobody measured on your boards."
        head = table(["figure", "devices", "value", "why it is believed"], rows, "Estimates", words=4)
        parts.append(tag("p", text))
        parts.append(tag("details", tag("summary", f"{len(used)} estimates with their reasoning"), head))
    else:
        parts.append(tag("p", "No figure of a device is marked as an estimate."))
    origins = [("network", cluster.source), ("workload", workload.source)]
    parts.append(tag("dl", [tag("div", tag("dt", name), tag("dd", text)) for name, text in origins if text]))
    return join(parts)


def reproduce_section(
    plan: Plan, solution: Solution | None, measured: Measured | None, again: Sequence[str] = ()
) -> Markup:
    """Return the commands that give these figures again, the versions, and the plan itself."""
    commands = list(again) or _commands(plan, solution, measured)
    rows = [
        (
            "versions",
            ", ".join(
                [*(_version(name) for name in ("partage", "numpy")), f"Python {platform.python_version()}"]
            ),
        ),
        ("machine", f"{platform.system()} {platform.machine()}, {sys.implementation.name}"),
        ("workload", f"{plan.workload.name} {_digest(plan.workload.sha256)}"),
        ("cluster", f"{plan.cluster.name} {_digest(plan.cluster.sha256)}"),
    ]
    lines = [tag("div", tag("dt", name), tag("dd", text)) for name, text in rows]
    text = plan.to_json()
    shown = text if len(text) <= MOST_PLAN_BYTES else text[:MOST_PLAN_BYTES] + "\n… (cut off here)"
    document = tag("details", tag("summary", "The plan (plan.json)"), tag("pre", shown))
    return join([tag("pre", "\n".join(commands)), tag("dl", lines), document])


def _commands(plan: Plan, solution: Solution | None, measured: Measured | None) -> list[str]:
    commands = []
    if solution is not None:
        commands.append(
            f"partage plan --workload {plan.workload.name} --cluster {plan.cluster.name} "
            f"--batch {plan.job.batch} --solver {solution.solver} --seed {solution.seed} --out plan.json"
        )
    commands.append("partage evaluate plan.json")
    if measured is not None:
        commands.append(f"partage run plan.json --mode {measured.mode} --steps {len(measured.losses)}")
    commands.append("partage report plan.json --out report.html")
    return commands


def _digest(sha256: str | None) -> str:
    return f"(sha256 {sha256[:12]}…)" if sha256 else ""


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} (not installed)"
