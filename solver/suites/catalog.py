"""Catalogue of suites: found by looking in the folder; a broken file is listed and stops nothing."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from models.errors import Fault, InputError
from solver.plugins import Entry, entries_of, from_file, unknown

_FOLDER = Path(__file__).parent
_NOT_SUITES = ("__init__", "case", "catalog", "equal_gpus", "known")
_WORDS = ("UNIT", "FOLDER", "cases", "problem", "document")


def names() -> tuple[str, ...]:
    """Return the names of all suites, written with hyphens."""
    stems = sorted(path.stem for path in _FOLDER.glob("*.py"))
    return tuple(s.replace("_", "-") for s in stems if not s.startswith("_") and s not in _NOT_SUITES)


def entries() -> tuple[Entry, ...]:
    """Return all suites, broken ones with their error."""
    return entries_of(names(), _FOLDER, load)


def load(ref: str) -> ModuleType:
    """Return the module of a suite; see :mod:`solver.suites` for what it has.

    Parameters
    ----------
    ref
        Name of the suite, or path of a Python file.

    Raises
    ------
    InputError
        If there is none, with the nearest names, or if its file is broken.
    """
    if not ref.endswith(".py") and ref not in names():
        message = f"{unknown('suite', ref, names())} (partage list suites shows all)"
        raise InputError([Fault("suite", message)], "suite")
    try:
        is_file = ref.endswith(".py")
        module = from_file("suite", Path(ref)) if is_file else importlib.import_module(_module_name(ref))
    except InputError:
        raise
    except Exception as error:
        message = f"{ref} is broken: {type(error).__name__}: {error}"
        raise InputError([Fault("suite", message)], "suite") from error
    missing = [word for word in _WORDS if not hasattr(module, word)]
    if missing:
        raise InputError([Fault("suite", f"{ref} lacks {', '.join(missing)}")], "suite")
    return module


def _module_name(name: str) -> str:
    return f"solver.suites.{name.replace('-', '_')}"
