"""Validation: predictions beside measurements, as tables and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.document import dump_json, write_text
from solver.reporting.units import NONE, digits, seconds, size
from solver.validation.findings import Findings, Goal, Run
from solver.validation.metrics import Summary, relative_error

MOST_ROWS = 60
"""Longer suites show so many of their worst predictions; ``--json`` and ``--out`` have all."""


def print_findings(console: Console, findings: Findings) -> None:
    """Print every run measured and predicted, the figures, how constants were fitted, and the goals.

    Parameters
    ----------
    console
        Where to.
    findings
        What a suite found.
    """
    console.print(_runs_table(findings))
    console.print(_summary_table("all runs", [("all", findings.summary())]))
    for split in findings.splits:
        rows = [(part.name, findings.summary(part)) for part in (*split.parts, split.together)]
        console.print(_summary_table(split.title, rows))
    if findings.constants:
        console.print(_constants_table(findings))
        console.print(findings.origin, markup=False)
    for note in findings.notes:
        console.print(note, markup=False)
    for goal in findings.goals:
        console.print(_goal_line(goal), markup=False)


def write_findings(folder: Path, findings: Findings, *, overwrite: bool = False) -> None:
    """Write ``findings.json`` and ``runs.csv`` into a folder.

    Parameters
    ----------
    folder
        Where to; made if missing.
    findings
        What a suite found.
    overwrite
        Whether files may be replaced.
    """
    write_text(folder / "findings.json", dump_json(findings.to_json()), overwrite=overwrite)
    words = ("run", "group", "measured_s", "predicted_s", "measured_bytes", "predicted_bytes")
    lines = [",".join(words)]
    for run in findings.runs:
        one = findings.predictions[run.name]
        figures = (run.iteration_s, one.iteration_s, run.peak_bytes, one.peak_bytes)
        cells = ["" if value is None else repr(value) for value in figures]
        lines.append(",".join([_quoted(run.name), _quoted(run.group), *cells]))
    write_text(folder / "runs.csv", "\n".join(lines) + "\n", overwrite=overwrite)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _runs_table(findings: Findings) -> Table:
    shown = list(findings.runs)
    title = f"{findings.suite}: {len(shown)} runs"
    if len(shown) > MOST_ROWS:
        shown = sorted(shown, key=lambda run: -abs(_error(findings, run) or 0.0))[:MOST_ROWS]
        title += f", the {MOST_ROWS} worst predictions"
    table = Table(title=title)
    table.add_column("run", overflow="fold")
    has_memory = any(run.peak_bytes is not None for run in shown)
    heads = ("measured", "predicted", "error")
    for head in (*heads, *((f"memory\n{head}" for head in heads) if has_memory else ())):
        table.add_column(head, justify="right")
    for run in shown:
        one = findings.predictions[run.name]
        cells = list(_cells(run.iteration_s, one.iteration_s, seconds))
        if has_memory:
            cells += _cells(run.peak_bytes, one.peak_bytes, size)
        table.add_row(run.name, *cells)
    return table


def _error(findings: Findings, run: Run) -> float | None:
    if run.iteration_s is None:
        return None
    return relative_error(run.iteration_s, findings.predictions[run.name].iteration_s)


def _cells(measured: float | None, predicted: float | None, shown: Callable[[float], str]) -> Iterator[str]:
    for value in (measured, predicted):
        yield NONE if value is None else shown(value)
    if measured is None or predicted is None:
        yield NONE
    else:
        yield f"{relative_error(measured, predicted):+.1%}"


def _summary_table(title: str, rows: list[tuple[str, Summary]]) -> Table:
    table = Table(title=title)
    table.add_column("")
    heads = ("runs", "MAPE", "largest", "tau", "plan tau", "wrong pairs", "memory MAPE", "largest")
    for head in heads:
        table.add_column(head, justify="right")
    for name, one in rows:
        table.add_row(
            name,
            str(one.num_runs),
            _percent(one.mape),
            _percent(one.max_error),
            NONE if one.tau is None else digits(one.tau),
            NONE if one.plan_tau is None else digits(one.plan_tau),
            f"{one.num_wrong_pairs} of {one.num_plan_pairs}",
            _percent(one.memory_mape),
            _percent(one.memory_max_error),
        )
    return table


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.2%}"


def _constants_table(findings: Findings) -> Table:
    table = Table(title="constants")
    for head in ("constant", "value", "unit", "meaning"):
        table.add_column(head, justify="right" if head == "value" else "left", overflow="fold")
    for constant in findings.constants:
        table.add_row(constant.name, f"{constant.value:.6g}", constant.unit, constant.meaning)
    return table


def _goal_line(goal: Goal) -> str:
    word, bound = "met" if goal.is_met else "MISSED", "at least" if goal.at_least else "at most"
    return f"{word}: {goal.name} {goal.value:.4g}, asked {bound} {goal.limit:.4g}"
