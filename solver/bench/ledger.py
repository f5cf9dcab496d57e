"""Ledger: the folder of a bench. Whole lines and whole files only, by one bench at a time.

::

    bench.json        what was asked: suite, folder of instances, limits
    runs.jsonl        one line a run, only ever added to; the last line of a run counts
    solutions/        <case>__<solver>__<seed>.json, in the suite's own terms
    logs/             <case>__<solver>__<seed>.txt, what a run printed, if it did
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from models.document import dump_json, parse, read, write_text
from models.errors import Fault, InputError
from solver.bench.run import Done
from solver.errors import RunError
from solver.lock import LOCK, FolderLock

RUNS, ASKED = "runs.jsonl", "bench.json"
Line = dict[str, Any]
Key = tuple[str, str, int]


def key_of(line: Mapping[str, Any]) -> Key:
    """Return what makes a run of a folder the same run: case, solver, seed."""
    return line["case"], line["solver"], line["seed"]


def read_lines(folder: Path) -> list[Line]:
    """Return all whole lines of a folder, in order; what a crash tore off at the end is left out.

    Parameters
    ----------
    folder
        Folder of a bench.

    Raises
    ------
    InputError
        With every line that is damaged.
    """
    path = folder / RUNS
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    lines, faults = [], []
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        try:
            line = parse(text.decode("utf-8"), "line", is_json=True)
            key_of(line)
        except (InputError, UnicodeDecodeError, KeyError, TypeError):
            faults.append(Fault(f"line {number}", "this is no run; delete the line, its run is done again"))
        else:
            lines.append(line)
    if faults:
        raise InputError(faults, str(path))
    return lines


def last_lines(lines: Iterable[Line]) -> list[Line]:
    """Return the last line of every run, in the order in which the runs first appeared."""
    return list({key_of(line): line for line in lines}.values())


class Ledger:
    """The folder of a bench, open for writing by this process alone.

    Parameters
    ----------
    folder
        Made if it is missing.
    asked
        What all runs of the folder have in common.

    Raises
    ------
    InputError
        If another bench is writing there, if it holds runs of something else, or cannot be written.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self.folder = folder
        self._runs = -1
        _check_unused(folder)
        self._lock = FolderLock(folder, "bench")
        try:
            (folder / "solutions").mkdir(exist_ok=True)
            self._runs = os.open(folder / RUNS, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            self.close()
            raise InputError([Fault("--out", f"cannot write into {folder}: {error}")], "bench") from None
        try:
            self._agree(asked)
            self.torn_bytes = self._repair()
            self.lines = read_lines(folder)
        except BaseException:
            self.close()
            raise

    def _agree(self, asked: Mapping[str, Any]) -> None:
        """Write what is asked, or compare it with what was asked before."""
        path = self.folder / ASKED
        if not path.exists():
            if (self.folder / RUNS).stat().st_size:
                message = f"{self.folder} holds {RUNS} but no {ASKED}: give another folder"
                raise InputError([Fault("--out", message)], "bench")
            write_text(path, dump_json(dict(asked)))
            return
        before = read(path)
        if not isinstance(before, dict):
            raise InputError([Fault("--out", f"{path} is damaged; give another folder")], "bench")
        faults = [
            Fault(
                word, f"{self.folder} was made with {before.get(word)!r}, not {value!r}; give another --out"
            )
            for word, value in asked.items()
            if before.get(word) != value
        ]
        if faults:
            raise InputError(faults, "bench")

    def _repair(self) -> int:
        """Cut off what a crash left of a line; return its bytes."""
        size = os.fstat(self._runs).st_size
        end = size
        while end > 0:
            start = max(0, end - 65_536)
            part = os.pread(self._runs, end - start, start)
            cut = part.rfind(b"\n")
            if cut >= 0:
                end = start + cut + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._runs, end)
            os.fsync(self._runs)
        return size - end

    def add(self, done: Done, stem: str) -> Line:
        """Record a run: its solution first, then its line, each whole or not at all.

        Parameters
        ----------
        done
            What the run left.
        stem
            Stem of its files.

        Returns
        -------
        dict
            The line as written.

        Raises
        ------
        RunError
            If it cannot be written, for example because the disk is full; nothing is left torn.
        """
        line = dict(done.line)
        if done.output.strip():
            self._write(self.folder / "logs" / f"{stem}.txt", done.output)
        solution = self.folder / "solutions" / f"{stem}.json"
        if done.document is not None:
            self._write(solution, dump_json(done.document))
            line["solution_file"] = f"solutions/{stem}.json"
        else:
            solution.unlink(missing_ok=True)  # of an earlier try
        self._append(json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n")
        self.lines.append(line)
        return line

    def _write(self, path: Path, text: str) -> None:
        try:
            write_text(path, text, overwrite=True)
        except InputError as error:
            raise RunError(_unwritten(error.faults[0].message)) from None

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._runs).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._runs, data[written:])
            os.fsync(self._runs)
        except OSError as error:
            os.ftruncate(self._runs, size)
            raise RunError(_unwritten(f"cannot write {self.folder / RUNS}: {error}")) from None

    def close(self) -> None:
        """Let others write."""
        if self._runs >= 0:
            os.close(self._runs)
        self._runs = -1
        self._lock.close()

    def __enter__(self) -> Ledger:
        """Return the ledger."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others write."""
        self.close()


def _check_unused(folder: Path) -> None:
    """Raise if a folder holds what no bench wrote: it would be mixed with results, or replaced."""
    if not folder.is_dir() or (folder / ASKED).exists():
        return
    others = sorted({path.name for path in folder.iterdir()} - {LOCK, "solutions", RUNS})
    if others:
        some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        message = f"{folder} holds files of something else ({some}); give another folder"
        raise InputError([Fault("--out", message)], "bench")


def _unwritten(reason: str) -> str:
    return f"{reason}. What was recorded before is whole; make room, and the same command goes on from there."
