"""Cells: the parts of an experiment, kept as whole lines of a file, so that a broken-off run goes on.

The first line says what the cells were made with: what is asked and a digest of the code. When that is
another one the file is begun anew, and said so.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.document import canonical

FILE = "cells.jsonl"
ROOT = Path(__file__).resolve().parents[2]
SILENT = ("solver/reporting", "solver/verbs", "solver/cli.py", "solver/listing.py", "solver/quickstart.py")
"""Code that shows results and makes none."""
Make = Callable[[], Any]


@cache
def code_digest(*experiments: str) -> str:
    """Return the digest of the code and data that results come from.

    Parameters
    ----------
    experiments
        Files of this folder, of those that are not models or solvers.
    """
    files = [path for part in ("models", "solver") for path in (ROOT / part).rglob("*")]
    files = [path for path in files if path.suffix in (".py", ".json", ".yaml")]
    names = {path.relative_to(ROOT).as_posix(): path for path in files}
    found = hashlib.sha256()
    for name in sorted(name for name in names if not name.startswith(SILENT)):
        found.update(f"{name}\0".encode() + names[name].read_bytes())
    for name in sorted(experiments):
        found.update(f"{name}\0".encode() + (ROOT / "experiments" / name).read_bytes())
    return found.hexdigest()


class Cells:
    """The cells of one folder.

    Parameters
    ----------
    folder
        Where the file lies.
    made_with
        What the cells depend on beside their keys; plain data.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any]) -> None:
        self.path = folder / FILE
        self.header = json.loads(canonical({"made_with": made_with}))
        self.known: dict[str, Any] = {}
        lines = list(_whole_lines(self.path))
        if lines and lines[0] == self.header:
            self.known = {line["key"]: line["value"] for line in lines[1:]}
        self.begun_anew = bool(lines) and lines[0] != self.header

    def begin(self) -> None:
        """Write the whole lines again, without a line that was broken off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [self.header, *({"key": key, "value": value} for key, value in self.known.items())]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def keep(self, key: str, value: Any) -> Any:
        """Append a cell, and return it as it reads back: a run that goes on sees the same as a fresh one."""
        line = json.dumps({"key": key, "value": value}, allow_nan=False)  # keeps the order of columns
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        self.known[key] = json.loads(line)["value"]
        return self.known[key]

    def make(self, makes: Mapping[str, Make], jobs: int) -> dict[str, Any]:
        """Make the cells that are missing, and return all of them in the order of their keys.

        Parameters
        ----------
        makes
            Key to what makes the cell: plain data.
        jobs
            Processes at a time.
        """
        missing = {key: make for key, make in makes.items() if key not in self.known}
        if len(makes) > len(missing):
            _say(f"{len(makes) - len(missing)} of {len(makes)} cells are there already")
        began, calls = time.monotonic(), _calls(missing, jobs)
        for done, (key, value) in enumerate(calls, 1):
            self.keep(key, value)
            spent_s = time.monotonic() - began
            left_s = spent_s / done * (len(missing) - done)
            _say(f"{done} of {len(missing)} cells, {spent_s:.0f} s, about {left_s:.0f} s left: {key}")
        return {key: self.known[key] for key in makes}


def _calls(missing: Mapping[str, Make], jobs: int) -> Iterator[tuple[str, Any]]:
    if jobs == 1 or len(missing) < 2:
        return ((key, make()) for key, make in missing.items())
    from joblib import Parallel, delayed

    run = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")
    found: Iterator[tuple[str, Any]] = run(delayed(_call)(key, make) for key, make in missing.items())
    return found


def _call(key: str, make: Make) -> tuple[str, Any]:
    return key, make()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines up to the first one that was broken off."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:100]}", end="" if "left" in text else "\n", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
