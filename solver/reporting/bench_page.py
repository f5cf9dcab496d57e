"""Page of a bench: one self-contained HTML file with its table, figures, cases and failures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from solver.reporting import units
from solver.reporting.bench_table import NOTES, cells, counted, gap, group_cells
from solver.reporting.markup import Child, Markup, tag
from solver.reporting.page import page, section
from solver.reporting.sections import table

FIGURES = {
    "performance.png": (
        "Performance profile: scores",
        "For every solver, the share of problems (case and seed) on which its score is within the given "
        "distance of the best of these solvers; higher and further left is better.",
    ),
    "performance_time.png": (
        "Performance profile: time to proof",
        "For every solver, the share of problems that it proved within the given multiple of the fastest "
        "proof.",
    ),
    "anytime.png": (
        "Anytime",
        "Primal gap to the best score known, at every moment of the run; a run without a plan counts with "
        "100 %.",
    ),
}
"""Name of a file to its heading and what it shows."""

_PROVEN = "proven, in a space that no other solver here looked beyond."

_STYLE = """
img.plot { display: block; width: 100%; max-width: 820px; height: auto; border-radius: 8px; }
td b { color: var(--good); }
"""


def bench_page(found: Mapping[str, Any], pictures: Mapping[str, bytes], command: str) -> str:
    """Return the page.

    Parameters
    ----------
    found
        See :func:`solver.bench.summary.summary`.
    pictures
        PNG by name of the file, of those in ``FIGURES``.
    command
        How to get it again.
    """
    heading = f"Bench of suite {found['suite']}"
    solvers = [row["solver"] for row in found["solvers"]]
    parts: list[Child] = [
        _header(heading, found),
        section("Solvers", NOTES, _table(*cells(found["solvers"]), "Solvers and their figures")),
        *(_picture(name, *FIGURES[name], pictures[name]) for name in FIGURES if name in pictures),
        _groups(found["groups"], solvers),
        _failures(found["failures"]),
        section("Cases", "Gap of the best run of every solver.", _cases(found["cases"], solvers)),
        section("How to get this again", "", _origin(found, command)),
    ]
    return page(heading, parts, style=_STYLE)


def _header(heading: str, found: Mapping[str, Any]) -> Markup:
    failed = found["num_failed"]
    chip = (
        tag("span", f"{failed} failed", class_="chip bad")
        if failed
        else tag("span", "none failed", class_="chip good")
    )
    limit = f"{found['time_limit_s']:g} s a run"
    work = f", {found['work_limit']:,} units of work" if found["work_limit"] else ""
    numbers = {"case": found["num_cases"], "solver": len(found["solvers"]), "run": found["num_runs"]}
    count = " · ".join(counted(number, noun) for noun, number in numbers.items())
    return tag("header", tag("h1", heading), tag("p", chip, " ", f"{count} · {limit}{work}", class_="sub"))


def _table(heads: Sequence[str], body: Sequence[Sequence[tuple[str, bool]]], caption: str) -> Markup:
    rows: list[list[Child]] = [
        [tag("b", text) if is_best else text for text, is_best in line] for line in body
    ]
    return table(heads, rows, caption)


def _picture(name: str, heading: str, about: str, data: bytes) -> Markup:
    source = base64.b64encode(data).decode("ascii")
    image = Markup(f'<img class="plot" alt="{escape(heading)}" src="data:image/png;base64,{source}">')
    return section(heading, f"{about} File: {name}.", image)


def _groups(groups: Mapping[str, Mapping[str, Any]], solvers: Sequence[str]) -> Markup | None:
    if not groups:
        return None
    body = [
        (
            tag("h3", f"By {word.replace('_', ' ')}"),
            _table(*group_cells(parts, solvers), f"Mean gap by {word}"),
        )
        for word, parts in groups.items()
    ]
    return section("By group", "Mean gap to the best score known.", [part for pair in body for part in pair])


def _failures(failures: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not failures:
        return None
    rows = [[one["case"], one["solver"], str(one["seed"]), one["failure"], one["reason"]] for one in failures]
    heads = ("case", "solver", "seed", "how", "reason")
    about = "A failed run has no score. What it printed lies in the folder logs."
    return section("Failures", about, table(heads, rows, "Failed runs", words=5))


def _cases(cases: Sequence[Mapping[str, Any]], solvers: Sequence[str]) -> Markup:
    heads = ["case", "best known", *solvers]
    rows: list[list[Child]] = [
        [case["case"], _score(case["reference"]), *(_result(case["solvers"].get(name)) for name in solvers)]
        for case in cases
    ]
    return table(heads, rows, "Cases and the gaps of the solvers")


def _score(value: float | None) -> str:
    return units.NONE if value is None else f"{value:.6g}"


def _result(run: Mapping[str, Any] | None) -> Child:
    if run is None:
        return units.NONE
    mark = " ✓" if run["is_proven"] else ""
    if run["score"] is None:
        return tag("small", str(run["status"]).lower() + mark)
    text = gap(run["gap"]) + mark
    return tag("b", text) if run["gap"] == 0 else text


def _origin(found: Mapping[str, Any], command: str) -> list[Child]:
    machines = [
        f"{one.get('cpu')}, {one.get('cores')} cores, {one.get('system')}" for one in found["machines"]
    ]
    versions = [", ".join(f"{name} {text}" for name, text in one.items()) for one in found["versions"]]
    facts = [
        ("Machine", machines),
        ("Runs at a time", [", ".join(map(str, found["jobs"]))]),
        ("Versions", versions),
    ]
    warning = "Runs of several machines or versions: their times are not to be compared."
    mixed = len(machines) > 1 or len(versions) > 1
    return [
        tag("pre", command),
        tag("p", warning, class_="note warn") if mixed else None,
        tag("dl", [tag("div", tag("dt", name), tag("dd", "; ".join(texts))) for name, texts in facts]),
        tag("p", f"✓ {_PROVEN} All scores are the evaluator's; protocol: results/README.md.", class_="note"),
    ]
