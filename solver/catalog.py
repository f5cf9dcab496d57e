"""Catalogue of solvers: found by looking in the folder; a broken file is listed and stops nothing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from models.errors import Fault, InputError
from solver.errors import DeclinedError
from solver.plugins import Entry, from_file, summary_of, unknown

if TYPE_CHECKING:
    from solver.problem import Problem
    from solver.search.incumbent import Search
    from solver.status import Outcome

FOLDER = Path(__file__).parent / "algorithms"


def names() -> tuple[str, ...]:
    """Return the names of all solver files."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def entries() -> tuple[Entry, ...]:
    """Return all solvers, broken ones with their error."""
    found = []
    for name in names():
        path = FOLDER / f"{name}.py"
        try:
            module = importlib.import_module(f"solver.algorithms.{name}")
            found.append(Entry(name, path, summary_of(module), _fault(module)))
        except Exception as error:  # a broken file is listed with its error and stops nothing
            found.append(Entry(name, path, error=f"{type(error).__name__}: {error}"))
    return tuple(found)


def _fault(module: ModuleType) -> str | None:
    function = getattr(module, "solve", None)
    if not callable(function):
        return "has no function solve(problem, search)"
    if len(inspect.signature(function).parameters) != 2:
        return "solve must take (problem, search)"
    return None


def name_faults(ref: str | None) -> Iterator[Fault]:
    """Yield why there is no such solver, before anything of it runs.

    Parameters
    ----------
    ref
        As in :func:`load`; ``None``: nobody is named.
    """
    if ref is None or ref in names():
        return
    if ref.endswith(".py"):
        if not Path(ref).is_file():
            yield Fault("solver", f"there is no file {ref}")
        return
    yield Fault("solver", f"{unknown('solver', ref, names())} (partage list solvers shows all)")


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
    if faults := tuple(name_faults(ref)):
        raise InputError(faults, "solver")
    if ref.endswith(".py"):
        module = _load_file(Path(ref))
        name = Path(ref).stem
    else:
        name = ref
        try:
            module = importlib.import_module(f"solver.algorithms.{ref}")
        except Exception as error:
            raise InputError([Fault("solver", f"{ref} is broken: {error}")], "solver") from error
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
    try:
        return from_file("solver", path)
    except InputError:
        raise
    except Exception as error:
        raise InputError([Fault("solver", f"{path} is broken: {error}")], "solver") from error
