"""Tables of experiments: rows as CSV in one number format, and as Markdown for people."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
FREE = ("measured", "wall")
"""How the names of columns begin, and headings of a README, that may differ when a result is made again."""


def columns_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the columns of rows in the order in which they first appear."""
    return tuple(dict.fromkeys(name for row in rows for name in row))


def csv_text(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Return rows as CSV.

    Parameters
    ----------
    rows
        Plain data; a missing value is an empty field.
    columns
        In their order; all of them if ``None``.
    """
    names = columns_of(rows) if columns is None else tuple(columns)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([field_text(row.get(name)) for name in names] for row in rows)
    return stream.getvalue()


def field_text(value: Any) -> str:
    """Return a value as it stands in a CSV file: nine digits, ``yes`` or ``no``, empty for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people, with so many significant digits; ``-`` if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, places)}f}" if abs(value) >= 1e-3 else f"{value:.{digits - 1}e}"


def markdown(rows: Sequence[Row], headings: Mapping[str, str] | None = None) -> str:
    """Return rows as a Markdown table; numbers stand to the right.

    Parameters
    ----------
    rows
        Plain data; floats get three significant digits.
    headings
        Column to what stands above it, in the order of the table; all columns if ``None``. The heading of a
        measured column begins with ``measured``.
    """
    heads = dict(headings) if headings is not None else {name: name for name in columns_of(rows)}
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + "|".join(_marks(rows, heads)) + "|"]
    for row in rows:
        lines.append("| " + " | ".join(_shown(row.get(name)) for name in heads) + " |")
    return "\n".join(lines)


def _marks(rows: Sequence[Row], names: Iterable[str]) -> list[str]:
    def is_number(value: Any) -> bool:
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))

    return ["--:" if rows and all(is_number(row.get(name)) for row in rows) else "---" for name in names]


def _shown(value: Any) -> str:
    if isinstance(value, float) or value is None:
        return number(value)
    return field_text(value).replace("|", "\\|")
