"""Find experiments by looking in this folder, and run them: `python -m experiments NAME [--quick]`."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER.parent / "results"
DONE, WRONG_INPUT, BROKE = 0, 2, 3


@dataclass(frozen=True)
class Experiment:
    """A file of this folder. `error` says why it cannot be run, if it cannot."""

    name: str
    summary: str
    error: str | None = None


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


def run_one(name: str, out: Path | None, *, quick: bool) -> int:
    """Run one experiment into a folder that is empty or absent; the short form's own folder is made anew."""
    known = find()
    experiment = next((one for one in known if one.name == name), None)
    if experiment is None:
        return wrong(unknown(name, known))
    if experiment.error:
        return wrong(f"{name}.py {experiment.error}")
    if out is None and quick:
        out = RESULTS / "quick" / name
        shutil.rmtree(out, ignore_errors=True)
    out = out or RESULTS / name
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return wrong(f"{out} holds something already: move it away, or give another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    importlib.import_module(f"experiments.{name}").run(out, quick=quick)
    print(f"{name}: written to {out}")
    return DONE


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
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: results/NAME)")
    parser.add_argument("--json", action="store_true", help="with --list: one JSON array")
    given = parser.parse_args(arguments)
    if given.list:
        return show(as_json=given.json)
    if given.quick_all:
        return run_all_quick()
    return run_one(given.name, given.out, quick=given.quick)


if __name__ == "__main__":
    sys.exit(main())
