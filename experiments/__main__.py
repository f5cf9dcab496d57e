"""Find experiments by looking in this folder, and run them: `python -m experiments NAME [--quick]`."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import inspect
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.frame.study import is_study
from experiments.frame.verify import differences, notes
from models.errors import InputError
from solver.lock import LOCK, FolderLock

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER.parent / "results"
DONE, NO, WRONG_INPUT, BROKE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Experiment:
    """A file of this folder. `error` says why it cannot be run, if it cannot."""

    name: str
    summary: str
    error: str | None = None


@dataclass(frozen=True)
class Asked:
    """How an experiment is to be run: which form, compared or made anew, how many processes."""

    quick: bool = False
    verify: bool = False
    force: bool = False
    jobs: int = 1


def find(folder: Path = FOLDER) -> list[Experiment]:
    """Every experiment of the folder by name, read without importing any."""
    files = sorted(folder.glob("*.py"))
    return [read(file) for file in files if not file.name.startswith("_") and file.name != "bench.py"]


def read(file: Path) -> Experiment:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        return Experiment(file.stem, "", f"cannot be read: {error}")
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    if not summary:
        return Experiment(file.stem, "", "has no docstring that says what it shows")
    if not any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
        return Experiment(file.stem, summary, "has no function run(out: Path, *, quick: bool) -> None")
    return Experiment(file.stem, summary)


def unknown(name: str, known: list[Experiment]) -> str:
    names = [experiment.name for experiment in known]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "see python -m experiments --list"
    return f"there is no experiment {name!r} in experiments/: {hint}"


def run_one(name: str, out: Path | None, asked: Asked) -> int:
    """Run one experiment; a folder that holds a part of it is gone on with, a finished one is left alone."""
    known = find()
    experiment = next((one for one in known if one.name == name), None)
    if experiment is None:
        return wrong(unknown(name, known))
    if experiment.error:
        return wrong(f"{name}.py {experiment.error}")
    out = out or (RESULTS / "quick" / name if asked.quick else RESULTS / name)
    if asked.verify:
        return verify(name, out, asked)
    try:
        if out.exists() and (not out.is_dir() or (_files_of(out) and not is_study(out))):
            return wrong(f"{out} holds something else: move it away, or give another folder with --out")
        lock = FolderLock(out, "run of an experiment")
    except (InputError, OSError) as error:
        return wrong(str(error))
    with lock:
        return run_into(name, out, asked)


def run_into(name: str, out: Path, asked: Asked) -> int:
    """Run an experiment into a folder that this process holds."""
    if asked.quick and out == RESULTS / "quick" / name:
        clear(out)
    if (out / "README.md").exists():
        if not asked.force:
            print(f"{name}: {out} is finished; --verify compares, --force makes it anew, --out DIR elsewhere")
            return DONE
        clear(out)
    try:
        make(name, out, asked)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the same command goes on from what is in {out}", file=sys.stderr)
        return INTERRUPTED
    print(f"{name}: written to {out}")
    return DONE


def clear(folder: Path) -> None:
    """Empty a folder, but for its lock."""
    for path in _files_of(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _files_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != LOCK]


def make(name: str, out: Path, asked: Asked) -> None:
    """Run an experiment into a folder."""
    run: Callable[..., None] = importlib.import_module(f"experiments.{name}").run
    words = {"jobs": asked.jobs} if "jobs" in inspect.signature(run).parameters else {}
    run(out, quick=asked.quick, **words)


def verify(name: str, kept: Path, asked: Asked) -> int:
    """Make a finished result again in a folder that is thrown away, and say what differs."""
    if not is_study(kept) or not (kept / "README.md").exists():
        return wrong(f"{kept} holds no finished result to compare with: run {name} first")
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as scratch:
        again = Path(scratch) / name
        again.mkdir()
        make(name, again, asked)
        for note in notes(kept, again):
            print(note, file=sys.stderr)
        found = differences(kept, again)
    for line in found:
        print(line)
    print(f"{name}: {len(found)} differences" if found else f"{name}: made again, nothing differs")
    return NO if found else DONE


def wrong(message: str) -> int:
    print(message, file=sys.stderr)
    return WRONG_INPUT


def run_all_quick() -> int:
    """Run each experiment's short form in a process of its own, and say how they ended."""
    known = find()
    if not known:
        print("There are no experiments yet: nothing to run.")
        return DONE
    broken = []
    for experiment in known:
        print(f"{experiment.name}: {experiment.error or experiment.summary}", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", "experiments", experiment.name, "--quick"]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode != DONE:
            broken.append(experiment.name)
        print(f"{experiment.name}: {time.monotonic() - started:.1f} s", flush=True)
    failures = f"broken: {', '.join(broken)}" if broken else "all ran to their end"
    print(f"Experiments in their short form: {len(known)}; {failures}.")
    return BROKE if broken else DONE


def show(*, as_json: bool) -> int:
    known = find()
    if as_json:
        print(json.dumps([vars(experiment) for experiment in known], indent=2))
        return DONE
    width = max((len(experiment.name) for experiment in known), default=0)
    for experiment in known:
        print(f"{experiment.name:{width}}  {experiment.error or experiment.summary}")
    if not known:
        print("There are no experiments yet.")
    return DONE


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Run an experiment.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", metavar="NAME", help="the experiment's file name without .py")
    what.add_argument("--list", action="store_true", help="show all experiments")
    what.add_argument("--quick-all", action="store_true", help="run every experiment in its short form")
    parser.add_argument("--quick", action="store_true", help="the short form: same code, fewer instances")
    parser.add_argument("--verify", action="store_true", help="make a result again and compare; 1: differs")
    parser.add_argument("--force", action="store_true", help="make a finished result anew")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells made at the same time")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: results/NAME)")
    parser.add_argument("--json", action="store_true", help="with --list: one JSON array")
    given = parser.parse_args(arguments)
    if given.jobs < 1:
        return wrong(f"--jobs must be 1 or more; given: {given.jobs}")
    if given.list:
        return show(as_json=given.json)
    if given.quick_all:
        return run_all_quick()
    return run_one(given.name, given.out, Asked(given.quick, given.verify, given.force, given.jobs))


if __name__ == "__main__":
    sys.exit(main())
