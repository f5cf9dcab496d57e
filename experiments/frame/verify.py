"""Verify: a result made again, compared with the one that is kept, byte by byte but for what is measured.

May differ: columns of CSV files and of tables in a README that begin with ``measured`` or ``wall``, sections
of a README whose heading begins so, files whose name begins so, and in config.json machine and versions
(which are told).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.frame.cells import FILE
from experiments.frame.tables import FREE
from solver.lock import LOCK

UNSPOKEN = ("machine", "versions")


def differences(kept: Path, again: Path) -> list[str]:
    """Return what differs between two folders of one result, a line each.

    Parameters
    ----------
    kept, again
        The result that is there, and the one that was made now.
    """
    ours, theirs = _files(kept), _files(again)
    found = [f"{name}: is not made again" for name in sorted(ours - theirs)]
    found += [f"{name}: is new" for name in sorted(theirs - ours)]
    for name in sorted(ours & theirs):
        found += [f"{name}: {what}" for what in _compare(kept / name, again / name)]
    return found


def notes(kept: Path, again: Path) -> list[str]:
    """Return in what the two were made under other circumstances: versions and machine."""
    before, now = (json.loads((folder / "config.json").read_text()) for folder in (kept, again))
    return [
        f"{word} {name}: kept {before[word].get(name)}, now {value}"
        for word in UNSPOKEN
        for name, value in now.get(word, {}).items()
        if before.get(word, {}).get(name) != value
    ]


def _files(folder: Path) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix() for path in files if path.name not in (FILE, LOCK) and not path.name.startswith(FREE)
    }


def _compare(kept: Path, again: Path) -> Iterator[str]:
    if kept.read_bytes() == again.read_bytes():
        return
    how = BY_NAME.get(kept.name) or BY_SUFFIX.get(kept.suffix)
    if how is None:
        yield "the bytes differ"
        return
    before, now = how(kept.read_text(encoding="utf-8")), how(again.read_text(encoding="utf-8"))
    if len(before) != len(now):
        yield f"{len(before)} lines were kept, {len(now)} are made"
    elif wrong := [i for i, pair in enumerate(zip(before, now, strict=True), 1) if pair[0] != pair[1]]:
        old, new = before[wrong[0] - 1], now[wrong[0] - 1]
        yield f"{len(wrong)} lines differ, first line {wrong[0]}: kept {old!r:.120}, now {new!r:.120}"


def _csv_lines(text: str) -> list[Any]:
    rows = list(csv.reader(io.StringIO(text)))
    if not rows:
        return []
    kept = [i for i, name in enumerate(rows[0]) if not name.startswith(FREE)]
    return [[row[i] for i in kept] for row in rows]


def _readme_lines(text: str) -> list[Any]:
    found: list[Any] = []
    free_columns: set[int] = set()
    free, in_table = False, False
    for line in text.splitlines():
        if line.startswith("#"):
            free = line.lstrip("# ").lower().startswith(FREE)
        if free:
            continue
        cells = line.split(" | ") if line.startswith("|") else []
        if cells and not in_table:
            free_columns = {i for i, name in enumerate(cells) if name.strip("| ").lower().startswith(FREE)}
        in_table = bool(cells)
        found.append([cell for i, cell in enumerate(cells) if i not in free_columns] if cells else line)
    return found


def _config_lines(text: str) -> list[Any]:
    return [(word, value) for word, value in json.loads(text).items() if word not in UNSPOKEN]


BY_NAME: dict[str, Callable[[str], list[Any]]] = {
    "README.md": _readme_lines,
    "config.json": _config_lines,
}
BY_SUFFIX: dict[str, Callable[[str], list[Any]]] = {".csv": _csv_lines}
