"""Catalogue of solvers: found by looking in the folder; a broken file is listed and stops nothing."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from models.errors import Fault, InputError
from solver.errors import DeclinedError

if TYPE_CHECKING:
    from solver.problem import Problem
    from solver.search.incumbent import Search
    from solver.status import Outcome

FOLDER = Path(__file__).parent / "algorithms"


@dataclass(frozen=True)
class SolverEntry:
    """A solver file: its name, path, first line of its docstring, and why it is broken, if it is."""

    name: str
    path: Path
    summary: str = ""
    error: str | None = None


def names() -> tuple[str, ...]:
    """Return the names of all solver files."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def entries() -> tuple[SolverEntry, ...]:
    """Return all solvers, broken ones with their error."""
    found = []
    for name in names():
        path = FOLDER / f"{name}.py"
        try:
            module = importlib.import_module(f"solver.algorithms.{name}")
            found.append(SolverEntry(name, path, _summary(module), _fault(module)))
        except Exception as error:  # a broken file is listed with its error and stops nothing
            found.append(SolverEntry(name, path, "", f"{type(error).__name__}: {error}"))
    return tuple(found)


def _summary(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n")[0]


def _fault(module: ModuleType) -> str | None:
    function = getattr(module, "solve", None)
    if not callable(function):
        return "has no function solve(problem, search)"
    if len(inspect.signature(function).parameters) != 2:
        return "solve must take (problem, search)"
    return None


def load(ref: str) -> tuple[str, Callable[[Problem, Search], Outcome]]:
    """Return (name, solve function) of a solver; it declines cost rules that its file does not name.

    A file plans under the rule ``program`` unless it says otherwise, as in ``RULES = ("program", "piper")``.

    Parameters
    ----------
    ref
        Name in the catalogue, or path of a Python file with a function ``solve(problem, search)``.

    Raises
    ------
    InputError
        If there is none, with the nearest names, or if its file is broken.
    """
    if ref.endswith(".py"):
        module = _load_file(Path(ref))
        name = Path(ref).stem
    elif ref in names():
        name = ref
        try:
            module = importlib.import_module(f"solver.algorithms.{ref}")
        except Exception as error:
            raise InputError([Fault("solver", f"{ref} is broken: {error}")], "solver") from error
    else:
        near = difflib.get_close_matches(ref, names(), n=3, cutoff=0.4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        message = f"no solver is called {ref!r}{hint} (partage list solvers shows all)"
        raise InputError([Fault("solver", message)], "solver")
    fault = _fault(module)
    if fault:
        raise InputError([Fault("solver", f"{ref} {fault}")], "solver")
    return name, _guarded(name, module)


def _guarded(name: str, module: ModuleType) -> Callable[[Problem, Search], Outcome]:
    rules = getattr(module, "RULES", ("program",))

    def solve(problem: Problem, search: Search) -> Outcome:
        rule = problem.settings.rule
        if rule not in rules:
            known = " and ".join(rules)
            raise DeclinedError(f"{name} knows the cost rule {known}; plans here cost what {rule} says")
        outcome: Outcome = module.solve(problem, search)
        return outcome

    return solve


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError([Fault("solver", f"there is no file {path}")], "solver")
    spec = importlib.util.spec_from_file_location(f"partage_solver_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError([Fault("solver", f"cannot load {path}")], "solver")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError([Fault("solver", f"{path} is broken: {error}")], "solver") from error
    return module
