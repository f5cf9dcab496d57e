"""Power logs of Jetson boards: what tegrastats prints and what jtop's logger writes.

tegrastats prints a line for every sample, as ::

    08-15-2023 14:22:05 RAM 1903/3956MB ... POM_5V_IN 2313/2313 POM_5V_GPU 124/124 POM_5V_CPU 495/495
    08-15-2023 14:22:05 RAM 3011/7765MB ... VDD_IN 5074mW/5074mW VDD_CPU_GPU_CV 1056mW/1056mW

now / average in milliwatt. Releases that print no time are read if each line begins with seconds since 1970,
as ``tegrastats | ts %.s`` writes them. jtop's logger (jetson-stats) writes a CSV file with a column ``time``
(``2023-08-15 14:22:05.123456``) and the whole board's milliwatt in ``Power TOT``, or ``power cur`` before its
version 4. Times without a zone are those of the machine that reads them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from models.errors import Fault, InputError

BOARD_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails of the whole board's input, GPU and CPU included."""

BOARD_COLUMNS = ("power tot", "power cur")

_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]+) (\d+)(?:mW)?/\d+(?:mW)?(?=\s|$)")
_STAMP = re.compile(r"^(\d{2}-\d{2}-\d{4} \d{2}:\d{2}:\d{2}|\d{9,}(?:\.\d+)?)\s")
_MOST_FAULTS = 5


class Sample(NamedTuple):
    """Whole-board power at a time: seconds since 1970, watt."""

    time_s: float
    power_w: float


def read_power_log(path: Path) -> tuple[Sample, ...]:
    """Read a log of either format, in the order of time.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If it cannot be read, if it is of neither format, or with the first faults and their lines.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    written = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not written:
        raise InputError([Fault("", "the log is empty: was tegrastats or jtop running?")], str(path))
    is_csv = "," in written[0][1] and "time" in written[0][1].lower()
    found = list(_jtop(lines) if is_csv else _tegrastats(written))
    faults = [item for item in found if isinstance(item, Fault)]
    if faults:
        raise InputError(faults[:_MOST_FAULTS], str(path))
    return tuple(sorted(item for item in found if isinstance(item, Sample)))


def mean_power_w(samples: Iterable[Sample], spans: Iterable[tuple[float, float]]) -> float | None:
    """Return the mean power of the samples inside some spans of time; ``None`` if there is none.

    Parameters
    ----------
    samples
        What was logged.
    spans
        (start, end), seconds since 1970.
    """
    inside = tuple(spans)
    powers = [s.power_w for s in samples if any(start <= s.time_s <= end for start, end in inside)]
    return fmean(powers) if powers else None


def _tegrastats(lines: Iterable[tuple[int, str]]) -> Iterator[Sample | Fault]:
    for number, line in lines:
        stamp = _STAMP.match(line)
        rails = dict(_RAIL.findall(line))
        rail = next((name for name in BOARD_RAILS if name in rails), None)
        if stamp is None:
            yield Fault(f"line {number}", "no time before it: log with `tegrastats | ts %.s`")
        elif rail is None:
            shown = ", ".join(name for name in rails if name not in ("RAM", "SWAP", "IRAM")) or "none"
            yield Fault(f"line {number}", f"no rail {' or '.join(BOARD_RAILS)}; rails found: {shown}")
        else:
            yield Sample(_seconds(stamp[1]), int(rails[rail]) / 1e3)


def _jtop(lines: list[str]) -> Iterator[Sample | Fault]:
    table = csv.DictReader(lines)
    columns = {str(name).strip().lower(): name for name in table.fieldnames or ()}
    power = next((columns[name] for name in BOARD_COLUMNS if name in columns), None)
    if power is None:
        yield Fault("line 1", f"no column {' or '.join(map(repr, BOARD_COLUMNS))}; was it jtop's logger?")
        return
    for cells in table:
        try:
            yield Sample(_seconds(cells[columns["time"]].strip()), float(cells[power]) / 1e3)
        except (ValueError, TypeError, AttributeError):
            given = f"time {cells[columns['time']]!r}, power {cells[power]!r}"
            yield Fault(f"line {table.line_num}", f"a time and milliwatt are needed; given: {given}")


def _seconds(stamp: str) -> float:
    """Return seconds since 1970 of a time as one of the formats has it."""
    if re.fullmatch(r"\d{9,}(\.\d+)?", stamp):
        return float(stamp)
    if re.match(r"\d{2}-\d{2}-\d{4} ", stamp):
        return datetime.strptime(stamp, "%m-%d-%Y %H:%M:%S").astimezone().timestamp()
    return datetime.fromisoformat(stamp).astimezone().timestamp()
