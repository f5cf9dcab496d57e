"""Exports: a plan and what it costs in the formats of other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Workload
from solver.costs import Costs
from solver.plan import Plan
from solver.report import Report
from solver.reporting import units
from solver.reporting.chrome_trace import chrome_trace
from solver.reporting.cut import parts, stage_words
from solver.reporting.html_report import html_report
from solver.reporting.measured import Measured
from solver.status import Solution


@dataclass(frozen=True)
class Exported:
    """All there is to export.

    Parameters
    ----------
    plan, workload, cluster, report
        The decision, what it names, and what it costs.
    measured, solution
        A run of it, and who found it.
    """

    plan: Plan
    workload: Workload
    cluster: Cluster
    report: Report
    measured: Measured | None = None
    solution: Solution | None = None


def export(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    report: Report,
    *,
    to: str,
    measured: Measured | None = None,
    solution: Solution | None = None,
) -> str:
    """Return a plan in another format.

    Parameters
    ----------
    plan, workload, cluster, report
        The decision, what it names, and what it costs.
    to
        ``json`` (plan and figures), ``chrome`` (trace for Perfetto), ``html`` (the page), ``dot`` (stages as
        a graph, for Graphviz) or ``csv`` (every instruction with its times).
    measured, solution
        A run of it, and who found it.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if to not in FORMATS:
        raise InputError([Fault("to", f"no format {to!r}; there are: {', '.join(FORMATS)}")], "export")
    return FORMATS[to](Exported(plan, workload, cluster, report, measured, solution))


def _json(given: Exported) -> str:
    found = {
        "plan": json.loads(given.plan.to_json()),
        "report": given.report.to_json(),
        "measured": given.measured.to_json() if given.measured else None,
        "solution": given.solution.to_json() if given.solution else None,
    }
    shown = {key: value for key, value in found.items() if value is not None}
    return json.dumps(shown, indent=1, allow_nan=False) + "\n"


def _chrome(given: Exported) -> str:
    trace = chrome_trace(given.report, measured=given.measured)
    return json.dumps(trace, separators=(",", ":"), allow_nan=False) + "\n"


def _html(given: Exported) -> str:
    return html_report(
        given.plan,
        given.workload,
        given.cluster,
        given.report,
        measured=given.measured,
        solution=given.solution,
    )


def _dot(given: Exported) -> str:
    """Write stages as boxes, and the edges between them with the bytes of a micro-batch."""
    costs = Costs(given.workload, given.plan.job)
    lines = ["digraph plan {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for p, pipeline in enumerate(given.plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            own = parts(stage)
            shares = [part.device + (f": {part.words}" if len(own) > 1 else "") for part in own]
            first, last = stage.blocks[0], stage.blocks[-1]
            blocks = first if len(stage.blocks) == 1 else f"{len(stage.blocks)} blocks, {first} to {last}"
            name = f"stage {p}.{s}" if len(given.plan.pipelines) > 1 else f"stage {s}"
            title = f"{name} ({words})" if (words := stage_words(stage)) else name
            label = "\\n".join(_quoted(text) for text in (title, blocks, *shares))
            lines.append(f'  s{p}_{s} [label="{label}"];')
        stage_of = {name: s for s, stage in enumerate(pipeline.stages) for name in stage.blocks}
        sizes: dict[tuple[int, int], int] = {}
        for source in given.workload.order:
            targets = {stage_of[e.target] for e in given.workload.successors[source]} - {stage_of[source]}
            for target in sorted(targets):
                size = costs.block(source).output_bytes * pipeline.samples
                sizes[stage_of[source], target] = sizes.get((stage_of[source], target), 0) + size
        lines += [f'  s{p}_{a} -> s{p}_{b} [label="{units.size(size)}"];' for (a, b), size in sizes.items()]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _csv(given: Exported) -> str:
    program, timeline = given.report.program, given.report.timeline
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = ["index", "device", "kind", "phase", "pipeline", "stage", "step", "micro_batch", "peer", "blocks"]
    heads += ["bytes", "start_s", "end_s"]
    times = [timeline.start_s, timeline.end_s]
    if given.measured is not None:
        heads += ["measured_start_s", "measured_end_s"]
        index, *moments = given.measured.arrays()
        for found in moments:
            column = np.full(len(program), np.nan)
            column[index] = found
            times.append(column)
    writer.writerow(heads)
    for i in range(len(program)):
        one = program.instruction(i)
        row = one.row
        known = ["" if np.isnan(column[i]) else repr(float(column[i])) for column in times]
        place = [row.pipeline, row.stage, one.step, one.micro_batch]
        words = [row.peer or "", " ".join(row.blocks), row.num_bytes]
        writer.writerow([i, row.device, row.kind.name.lower(), row.phase, *place, *words, *known])
    return out.getvalue()


FORMATS: dict[str, Callable[[Exported], str]] = {
    "json": _json,
    "chrome": _chrome,
    "html": _html,
    "dot": _dot,
    "csv": _csv,
}
"""Name of each format to what writes it."""
