"""The published suites dnn-partitioning, piper and pipedream: our values beside the best known ones.

Every question of the suites is benched with the solver that is made for it, one run at a time, into a folder
of its own; the same folder is gone on with if it is there. `README.md` holds the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.document import write_text
from solver.bench.asked import Asked
from solver.bench.ledger import last_lines, read_lines
from solver.bench.sweep import sweep
from solver.reporting.bench_folder import write_bench
from solver.suites import catalog


@dataclass(frozen=True)
class Question:
    """What is asked of a suite: which cases, of which solver, with how many seconds a run."""

    suite: str
    cases: str
    solver: str
    time_limit_s: float
    quick: str

    @property
    def folder(self) -> str:
        """Where its runs lie."""
        return "-".join(word for word in (self.suite, self.cases.partition(":")[2]) if word)


QUESTIONS = (
    Question("dnn-partitioning", "*:contiguous", "convex_dp", 60.0, "layer/bert24_*:contiguous"),
    Question(
        "dnn-partitioning", "*:non-contiguous", "assignment_search", 120.0, "layer/bert24_t*:non-contiguous"
    ),
    Question("dnn-partitioning", "*:latency", "latency_search", 60.0, "layer/bert24_*:latency"),
    Question("piper", "*", "piper", 10.0, "*:memory_gib=8:max_devices=[38]*"),
    Question("pipedream", "*", "pipedream", 10.0, "gnmt:*"),
)


def run(out: Path, *, quick: bool) -> None:
    """Bench every question, and write the table.

    Parameters
    ----------
    out
        Where it writes.
    quick
        A few cases of each, with 20 s a run at most.
    """
    parts = [f"# {(__doc__ or '').strip().splitlines()[0]}", ""]
    for question in QUESTIONS:
        limit_s = min(20.0, question.time_limit_s) if quick else question.time_limit_s
        select = (question.quick if quick else question.cases,)
        folder = out / question.folder
        sweep(Asked(question.suite, (question.solver,), limit_s, select=select), folder)
        write_bench(folder)
        parts += _table(question, limit_s, last_lines(read_lines(folder)))
    write_text(out / "README.md", "\n".join(parts) + "\n", overwrite=True)


def _table(question: Question, limit_s: float, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the table of one question."""
    unit = catalog.load(question.suite).UNIT
    rows = [
        f"## {question.folder}: `{question.solver}`, {limit_s:g} s a run",
        "",
        f"| case | ours, {unit} | status | gap to our bound | best known | wall, s |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for line in lines:
        scale = line["objective"] / line["score"] if line["score"] else 1.0
        known = line["best_known"]
        rows.append(
            f"| {line['case']} | {_number(line['objective'])} | {line['failure'] or line['status']} "
            f"| {_percent(line['gap'])} | {_number(known * scale if known is not None else None)} "
            f"| {line['wall_s']:.1f} |"
        )
    machine, versions = line["machine"], line["versions"]
    made = f"{machine['cpu']}, {machine['cores']} cores; commit {versions.get('commit', 'unknown')}"
    return [*rows, "", made, ""]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _percent(part: float | None) -> str:
    return "-" if part is None else "0" if part < 1e-8 else f"{100 * part:.2g} %"
