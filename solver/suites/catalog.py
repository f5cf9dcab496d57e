"""Catalogue of suites: found by looking in the folder; a broken file is listed and stops nothing."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from models.errors import Fault, InputError

_FOLDER = Path(__file__).parent
_NOT_SUITES = ("__init__", "case", "catalog")
_WORDS = ("UNIT", "FOLDER", "cases", "problem", "document")


@dataclass(frozen=True)
class SuiteEntry:
    """A suite file: its name, path, first line of its docstring, and why it is broken, if it is."""

    name: str
    path: Path
    summary: str = ""
    error: str | None = None


def names() -> tuple[str, ...]:
    """Return the names of all suites, written with hyphens."""
    stems = sorted(path.stem for path in _FOLDER.glob("*.py"))
    return tuple(s.replace("_", "-") for s in stems if not s.startswith("_") and s not in _NOT_SUITES)


def entries() -> tuple[SuiteEntry, ...]:
    """Return all suites, broken ones with their error."""
    found = []
    for name in names():
        path = _FOLDER / f"{name.replace('-', '_')}.py"
        try:
            module = load(name)
            found.append(SuiteEntry(name, path, (module.__doc__ or "").strip().split("\n")[0]))
        except Exception as error:  # a broken file is listed with its error and stops nothing
            found.append(SuiteEntry(name, path, error=f"{type(error).__name__}: {error}"))
    return tuple(found)


def load(name: str) -> ModuleType:
    """Return the module of a suite; see :mod:`solver.suites` for what it has.

    Parameters
    ----------
    name
        Name of the suite.

    Raises
    ------
    InputError
        If there is none, with the nearest names, or if its file is broken.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=2, cutoff=0.4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(
            [Fault("suite", f"no suite is called {name!r}{hint}; there are: {', '.join(names())}")]
        )
    try:
        module = importlib.import_module(f"solver.suites.{name.replace('-', '_')}")
    except Exception as error:
        raise InputError([Fault("suite", f"{name} is broken: {error}")]) from error
    missing = [word for word in _WORDS if not hasattr(module, word)]
    if missing:
        raise InputError([Fault("suite", f"{name} lacks {', '.join(missing)}")])
    return module
