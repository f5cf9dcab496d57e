"""Tables of a bench, for terminal and page: solvers by their figures, and by groups of cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solver.reporting import units

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]


def gap(value: float | None) -> str:
    """Return a gap in per cent, with two digits that count; very large ones as a factor."""
    if value is None:
        return units.NONE
    if value >= 9.995:
        return f"×{units.digits(1 + value, 2)}"
    return "0" if value == 0 else f"{units.digits(100 * value, 2)} %"


def share(value: float) -> str:
    """Return a share in per cent; 0 and 100 % only if it is none or all."""
    if value in (0.0, 1.0):
        return "100 %" if value else "0"
    percent = min(99.9, max(0.1, 100 * value))
    return f"{percent:.0f} %" if 1 <= percent <= 99 else f"{percent:.1f} %"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if need be."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _count(value: int) -> str:
    return str(value) if value else units.NONE


@dataclass(frozen=True)
class Column:
    """A column: head, figure, how that is said, which figures are good, and whether a terminal shows it."""

    head: str
    word: str
    said: Callable[[Any], str]
    good: str = ""
    in_terminal: bool = True


COLUMNS = (
    Column("solved", "share_solved", share, "large"),
    Column("at best", "share_at_best", share, "large"),
    Column("proven", "share_proven", share, "large"),
    Column("gap mean", "gap_mean", gap, "small"),
    Column("median", "gap_median", gap, "small", in_terminal=False),
    Column("max", "gap_max", gap, "small"),
    Column("time", "time_sgm_s", units.seconds, "small"),
    Column("primal integral", "primal_integral_mean", units.seconds, "small", in_terminal=False),
    Column("memory", "peak_memory_bytes", units.size, in_terminal=False),
    Column("new best", "num_better_than_known", _count, in_terminal=False),
    Column("declined", "num_declined", _count),
    Column("failed", "num_failed", _count),
)

NOTES = (
    "Gap: above the best score known of a case, over the runs that have a plan. At best: reached it. "
    "Proven: proved it, in a space that no other solver here looked beyond. Time: geometric mean, shifted by "
    "1 s, of wall time; runs without an answer count with the time limit. Primal integral: gap integrated "
    "over the time limit."
)


def cells(
    rows: Sequence[Row], columns: Sequence[Column] = COLUMNS
) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Return heads, and cells as (text, whether it is the best of its column); empty columns are left out.

    Parameters
    ----------
    rows
        See :func:`solver.bench.summary.rows`.
    """
    columns = [
        column for column in columns if any(column.said(row[column.word]) != units.NONE for row in rows)
    ]
    heads = ["solver", *(column.head for column in columns)]
    best = {column.word: _best(column, rows) for column in columns}
    body = [
        [
            (row["solver"], False),
            *((column.said(row[column.word]), row[column.word] == best[column.word]) for column in columns),
        ]
        for row in rows
    ]
    return heads, body


def _best(column: Column, rows: Sequence[Row]) -> Any:
    values = [row[column.word] for row in rows if row[column.word] is not None]
    if not column.good or len(set(values)) < 2:
        return object()  # equal to nothing
    return min(values) if column.good == "small" else max(values)


def group_cells(
    parts: Mapping[str, Sequence[Row]], solvers: Sequence[str]
) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Return heads, and for every solver its mean gap in every group, and of what share if not of all.

    Parameters
    ----------
    parts
        Value of the group's word to its rows.
    solvers
        In the order of the main table.
    """
    by_group = {value: {row["solver"]: row for row in rows} for value, rows in parts.items()}
    least = {
        value: min((row["gap_mean"] for row in rows if row["gap_mean"] is not None), default=None)
        for value, rows in parts.items()
    }
    body = []
    for solver in solvers:
        line = [(solver, False)]
        for value, rows in by_group.items():
            row = rows.get(solver)
            text = units.NONE if row is None else gap(row["gap_mean"])
            if row is not None and row["share_solved"] < 1:
                text = f"{text} of {share(row['share_solved'])}" if row["share_solved"] else units.NONE
            line.append(
                (text, row is not None and row["gap_mean"] is not None and row["gap_mean"] == least[value])
            )
        body.append(line)
    return ["solver", *parts], body


def print_tables(console: Any, found: Mapping[str, Any]) -> None:
    """Print the tables of a summary.

    Parameters
    ----------
    console
        Where to.
    found
        See :func:`solver.bench.summary.summary`.
    """
    heads, body = cells(found["solvers"], [column for column in COLUMNS if column.in_terminal])
    title = (
        f"suite {found['suite']}: {counted(found['num_cases'], 'case')}, {counted(found['num_runs'], 'run')}"
    )
    console.print(_rich(title, heads, body))
    solvers = [row["solver"] for row in found["solvers"]]
    for word, parts in found["groups"].items():
        console.print(_rich(f"mean gap by {word.replace('_', ' ')}", *group_cells(parts, solvers)))
    for failure in found["failures"]:
        where = f"{failure['case']}, {failure['solver']}, seed {failure['seed']}"
        console.print(f"failed: {where}: {failure['reason']}", markup=False)


def _rich(title: str, heads: Sequence[str], body: Sequence[Sequence[tuple[str, bool]]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=True)
    for line in body:
        table.add_row(*(Text(text, style="bold" if is_best else "") for text, is_best in line))
    return table
