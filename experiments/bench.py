"""Measure the figures of the README: `python -m experiments.bench [NAME ...]`.

Every file of experiments/figures/ is one figure. Each is written to results/bench/NAME.json with its
baseline, the command, the machine and the versions; a table of all closes the run.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.figures import Figure
from models.document import dump_json, write_text
from solver.bench.machine import installed, machine

FOLDER = Path(__file__).resolve().parent / "figures"
RESULTS = FOLDER.parents[1] / "results" / "bench"
PACKAGES = ("partage", "numpy", "numba", "pydantic", "torch", "ortools", "pulp")
MACHINE = {"system": "system", "processor": "cpu", "cores": "cores", "memory_bytes": "memory_bytes"}
"""Words of a figure's file for what is said of the machine."""
DONE, NOT_MET, WRONG_INPUT, BROKE = 0, 1, 2, 3


def find(folder: Path = FOLDER) -> dict[str, str]:
    """Names of all figures, and what each is, read without importing any."""
    files = [file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]
    return {file.stem: _summary(file) for file in files}


def _summary(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def record(name: str, what: str, figure: Figure, took_s: float) -> dict[str, Any]:
    """A figure as it is written."""
    where = machine()
    return {
        "name": name,
        "what": what,
        "figure": figure.value,
        "unit": figure.unit,
        "baseline": figure.baseline,
        "baseline_is": figure.baseline_is,
        "ratio": figure.ratio,
        "goal": figure.goal,
        "lower_is_better": figure.lower_is_better,
        "details": figure.details,
        "command": f"python -m experiments.bench {name}",
        "took_s": round(took_s, 1),
        "machine": {word: where[name] for word, name in MACHINE.items()},
        "versions": installed(PACKAGES),
    }


def measure(name: str, what: str, out: Path) -> Figure:
    """Measure one figure and write it."""
    started = time.monotonic()
    figure: Figure = importlib.import_module(f"experiments.figures.{name}").measure()
    out.mkdir(parents=True, exist_ok=True)
    text = dump_json(record(name, what, figure, time.monotonic() - started))
    write_text(out / f"{name}.json", text, overwrite=True)
    return figure


def table(figures: dict[str, Figure]) -> Table:
    """All figures, one line each."""
    shown = Table(title="Figures of this machine")
    for heading in ("figure", "value", "goal", "baseline", "ratio", "unit"):
        shown.add_column(heading, justify="left" if heading in ("figure", "unit") else "right", no_wrap=True)
    for name, figure in figures.items():
        sign = "<=" if figure.lower_is_better else ">="
        goal = "" if figure.goal is None else f"{sign} {number(figure.goal)}"
        values = (number(figure.value), goal, number(figure.baseline), number(figure.ratio))
        shown.add_row(name, *values, figure.unit, style=None if figure.is_met else "red")
    return shown


def number(value: float) -> str:
    """Three digits or more, as people read them."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description="Measure figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures; all if none is named")
    parser.add_argument("--list", action="store_true", help="show all figures")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where to write")
    given = parser.parse_args(arguments)
    known = find()
    if given.list:
        for name, what in known.items():
            print(f"{name:{max(map(len, known))}}  {what}")
        return DONE
    unknown = [name for name in given.names if name not in known]
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "see --list"
        print(f"there is no figure {name!r} in experiments/figures/: {hint}", file=sys.stderr)
    return WRONG_INPUT if unknown else run(given.names or list(known), known, given.out)


def run(names: list[str], known: dict[str, str], out: Path) -> int:
    """Measure figures one after another; one that breaks does not stop the others."""
    found: dict[str, Figure] = {}
    broken = []
    for name in names:
        print(f"{name}: {known[name]}", file=sys.stderr, flush=True)
        try:
            found[name] = measure(name, known[name], out)
        except Exception:
            traceback.print_exc()
            broken.append(name)
    Console(width=None if sys.stdout.isatty() else 110).print(table(found))
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
        return BROKE
    return DONE if all(figure.is_met for figure in found.values()) else NOT_MET


if __name__ == "__main__":
    sys.exit(main())
