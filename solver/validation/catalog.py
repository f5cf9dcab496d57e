"""Catalogue of validation suites: found by looking in the folder."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from models.errors import Fault, InputError
from solver.plugins import Entry, entries_of, unknown

_FOLDER = Path(__file__).parent / "suites"


def names() -> tuple[str, ...]:
    """Return the names of all suites, written with hyphens."""
    stems = sorted(path.stem for path in _FOLDER.glob("*.py"))
    return tuple(stem.replace("_", "-") for stem in stems if not stem.startswith("_"))


def entries() -> tuple[Entry, ...]:
    """Return all suites, broken ones with their error."""
    return entries_of(names(), _FOLDER, load)


def load(name: str) -> ModuleType:
    """Return the module of a suite; see :mod:`solver.validation.suites` for what it has.

    Parameters
    ----------
    name
        Name of the suite.

    Raises
    ------
    InputError
        If there is none, with the nearest names.
    """
    if name not in names():
        message = f"{unknown('suite', name, names())}; there are: {', '.join(names())}"
        raise InputError([Fault("--suite", message)], "validate")
    return importlib.import_module(f"solver.validation.suites.{name.replace('-', '_')}")
