"""Price lists for the terminal: every limit with its plan's figures, and how much more they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solver.evaluate import score
from solver.price import Priced, PriceList
from solver.reporting import units
from solver.reporting.objectives import in_words

if TYPE_CHECKING:
    from rich.console import Console


def print_prices(console: Console, found: PriceList) -> None:
    """Print the table.

    Parameters
    ----------
    console
        Where to.
    found
        What limits cost.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(f"Best plans by {found.objective}, without and with a limit", style="bold")
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("limit", no_wrap=True)
    for name in found.figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("devices", justify="right")
    table.add_column("answer")
    for row in (found.free, *found.rows):
        devices = "" if row.report is None else str(len(row.report.utilisation))
        cells = [_cell(found, row, name) for name in found.figures]
        table.add_row(Text(limit_words(row)), *map(Text, cells), devices, Text(row.status.name.lower()))
    console.print(table)
    for row in (found.free, *found.rows):
        if row.report is None:
            console.print(f"{limit_words(row)}: {row.status.value}; {row.reason}", markup=False)


def limit_words(row: Priced) -> str:
    """Return a limit as a person reads it."""
    if row.limit is None:
        return "none"
    part = f" ({units.percent(row.limit.value)})" if row.limit.is_part else ""
    return f"{row.limit.objective} ≤ {in_words(row.limit.objective, row.allowed)}{part}"


def _cell(found: PriceList, row: Priced, objective: str) -> str:
    if row.report is None:
        return units.NONE
    words = in_words(objective, score(row.report, objective))
    change = found.change(row, objective)
    return words if row.limit is None or change is None else f"{words}\n{units.percent(change, sign=True)}"
