"""Catalogue of suites: found by looking in the folder; a broken file is listed and stops nothing."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from models.errors import Fault, InputError

_FOLDER = Path(__file__).parent
_NOT_SUITES = ("__init__", "case", "catalog", "known")
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
        near = difflib.get_close_matches(ref, names(), n=2, cutoff=0.4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        message = f"no suite is called {ref!r}{hint} (partage list suites shows all)"
        raise InputError([Fault("suite", message)], "suite")
    try:
        module = _from_file(Path(ref)) if ref.endswith(".py") else importlib.import_module(_module_name(ref))
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


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"partage_suite_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError([Fault("suite", f"there is no file {path}")], "suite")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
