"""Page: all phases of a folder on one page: who takes part and why, the cut, placing, losses and faults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solver.loading import Loaded, load
from solver.phases.chain import NOT_THERE, Done
from solver.phases.folder import DEPLOYMENT, PARTICIPANTS, PLAN, TRAINING
from solver.report import Report
from solver.reporting import units
from solver.reporting.elastic import changes_of, story_tables
from solver.reporting.html_report import html_report
from solver.reporting.markup import Child, join, tag
from solver.reporting.measured import Measured, numbers
from solver.reporting.sections import table

if TYPE_CHECKING:
    from solver.execution.trace import Trace

PAGE = "report.html"


def page(folder: Path, done: Sequence[Done], beside: Path | None = None) -> str:
    """Return the page of a folder that has a plan at least.

    Parameters
    ----------
    folder
        The folder.
    done
        What became of the phases.
    beside
        Folder in which the page will lie; the folder itself if not given.
    """
    loaded = load(folder / PLAN)
    report = loaded.evaluate()
    found = {one.name: one for one in done}
    extra: list[tuple[str, str, Child]] = [
        ("Phases", "Each part is made from those above it.", _phases(done, beside or folder))
    ]
    if "participants" in found and (folder / PARTICIPANTS).exists():
        extra.append(
            (
                "Who takes part",
                _chosen_words(found["participants"].figures),
                _rules(found["participants"].figures),
            )
        )
    if "deploy" in found:
        extra.append(
            ("Deployment", _placing_words(found["deploy"].figures), _places(found["deploy"].figures))
        )
    measured, again = None, [f"partage evaluate {PLAN}"]
    if "train" in found:
        figures = found["train"].figures
        extra.append(("What happened to devices", _elastic_words(figures), _story(figures)))
        trace = _trace(folder / TRAINING, figures)
        measured = _measured(trace, loaded, report, figures)
        again.append(_run(trace, len(measured.losses)))
    title = f"{loaded.workload.name} trained on {loaded.cluster.name}"
    return html_report(
        loaded.plan,
        loaded.workload,
        loaded.cluster,
        report,
        measured=measured,
        title=title,
        extra=extra,
        again=[*again, "partage report ."],
    )


def _run(trace: Trace, num_steps: int) -> str:
    """Return the command that trains again as a trace tells, in the folder."""
    command = f"partage run {PLAN} --deployment {DEPLOYMENT} --mode {trace.mode} --steps {num_steps}"
    if trace.mode == "padded":
        command += f" --dilation {trace.dilation:.6g}"
    return command + (f" --learning-rate {trace.learning_rate}" if trace.learning_rate is not None else "")


def _phases(done: Sequence[Done], beside: Path) -> Child:
    rows: list[list[Child]] = [
        [
            tag("b", one.name),
            tag("a", one.part.name, href=Path(os.path.relpath(one.part, beside)).as_posix()),
            one.state if one.why == NOT_THERE else f"{one.state}: {one.why}",
            units.seconds(one.wall_s),
        ]
        for one in done
    ]
    return table(["phase", "part", "how it came to be", "time to make it"], rows, "Phases", words=3)


def _chosen_words(figures: Mapping[str, Any]) -> str:
    others = [row["device"] for row in figures["changes"] if not row["takes_part"]]
    out = f" Left out: {', '.join(others)}." if others else " Nobody is left out."
    return f"Rule {figures['rule']} chooses {', '.join(figures['chosen'])}.{out}"


def _rules(figures: Mapping[str, Any]) -> Child:
    rows: list[list[Child]] = [
        [row["rule"], ", ".join(row["chosen"]) or units.NONE, *_cost(row.get("figures"))]
        for row in figures["rules"]
    ]
    changes: list[list[Child]] = [
        [("without " if row["takes_part"] else "with ") + row["device"], *_cost(row.get("figures"))]
        for row in figures["changes"]
    ]
    return join(
        [
            table(["rule", "chooses", "step time", "energy"], rows, "What the rules choose", words=2),
            table(["one device more or less", "step time", "energy"], changes, "What each device changes"),
        ]
    )


def _cost(figures: Mapping[str, Any] | None) -> list[Child]:
    if figures is None:
        return ["no plan keeps every limit", units.NONE]
    return [units.seconds(figures["step_time_s"]), units.energy(figures["energy_j"])]


def _placing_words(figures: Mapping[str, Any]) -> str:
    moved, seconds = units.size(figures["moved_bytes"]), units.seconds(figures["seconds"])
    return f"From {figures['source']}: {moved} over links, predicted {seconds}."


def _places(figures: Mapping[str, Any]) -> Child:
    rows: list[list[Child]] = [
        [
            name,
            str(len(place["blocks"])),
            units.size(place["weight_bytes"]),
            units.size(place["backup_bytes"]) if place["backups"] else units.NONE,
            units.seconds(place["there_s"]),
            units.size(place["peak_bytes"]),
            units.size(place["limit_bytes"]),
        ]
        for name, place in figures["devices"].items()
    ]
    heads = ["device", "blocks", "weights", "copies of others", "there after", "peak in training", "limit"]
    return table(heads, rows, "What every device holds")


def _elastic_words(figures: Mapping[str, Any]) -> str:
    if not figures["elastic"]:
        return f"Not elastic: {figures['why_not_elastic']}."
    words = "Training goes on when devices leave, and takes them in when they return."
    energy = figures["energy_j"]
    if energy.get("total") is None:
        return words
    total, outside = units.energy(energy["total"]), units.energy(energy["outside_steps"])
    steps = f"{energy['num_steps']} steps" + (" since its checkpoint" if figures["first_step"] else "")
    return f"{words} The {steps} took {total}, {outside} of it outside of whole steps."


def _story(figures: Mapping[str, Any]) -> Child:
    return story_tables({"changes": figures["faults"]}) if figures["elastic"] else None


def _trace(folder: Path, figures: Mapping[str, Any]) -> Trace:
    """Return what the workers of a training measured, or those of its last generation."""
    from solver.execution.elastic.run import LAST_TRACE
    from solver.reporting.folder import read_trace

    return read_trace(folder / (LAST_TRACE if figures["elastic"] else "trace.json"))


def _measured(trace: Trace, loaded: Loaded, report: Report, figures: Mapping[str, Any]) -> Measured:
    """Return what the training measured; times only where it ended by the plan of the page."""
    from solver.execution.energy import trace_energy
    from solver.plan import Plan
    from solver.reporting.from_trace import measured_of

    found = Measured(mode=trace.mode, dilation=trace.dilation)
    if Plan.model_validate(trace.plan).digest == loaded.plan.digest:
        energy = trace_energy(trace, loaded.plan, loaded.cluster, report.program)
        weights = figures["max_relative_weight_difference"]
        found = measured_of(trace, report.program, max_relative_weight_difference=weights, energy=energy)
    losses, reference = numbers(figures["losses"]), numbers(figures["reference_losses"])
    changes = changes_of({"changes": figures["faults"]})
    return replace(found, losses=losses, reference_losses=reference, changes=changes)
