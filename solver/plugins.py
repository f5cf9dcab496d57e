"""Plug-ins: Python files that are found by looking in a folder, or given by their path."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from models.errors import Fault, InputError


@dataclass(frozen=True)
class Entry:
    """A file: its name, path, first line of its docstring, and why it is broken, if it is."""

    name: str
    path: Path
    summary: str = ""
    error: str | None = None


def summary_of(module: ModuleType) -> str:
    """Return the first line of a module's docstring."""
    return (module.__doc__ or "").strip().split("\n")[0]


def entries_of(names: Sequence[str], folder: Path, load: Callable[[str], ModuleType]) -> tuple[Entry, ...]:
    """Return the files of a folder by their names, written with hyphens; broken ones with their error.

    Parameters
    ----------
    names, folder
        What there is, and where.
    load
        Returns the module of a name, or raises.
    """
    found = []
    for name in names:
        path = folder / f"{name.replace('-', '_')}.py"
        try:
            found.append(Entry(name, path, summary_of(load(name))))
        except Exception as error:  # a broken file is listed with its error and stops nothing
            found.append(Entry(name, path, error=f"{type(error).__name__}: {error}"))
    return tuple(found)


def unknown(kind: str, name: str, names: Sequence[str]) -> str:
    """Return the sentence for a name that does not exist, with the nearest ones that do.

    Parameters
    ----------
    kind
        What is named: solver, suite.
    name, names
        What was given, and what there is.
    """
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"no {kind} is called {name!r}{hint}"


def from_file(kind: str, path: Path) -> ModuleType:
    """Return the module of a file; what it raises passes.

    Parameters
    ----------
    kind
        What it is: solver, suite.
    path
        Where it lies.

    Raises
    ------
    InputError
        If there is no such file, or it is no Python file.
    """
    spec = importlib.util.spec_from_file_location(f"partage_{kind}_{path.stem}", path)
    if not path.is_file():
        raise InputError([Fault(kind, f"there is no file {path}")], kind)
    if spec is None or spec.loader is None:
        raise InputError([Fault(kind, f"cannot load {path}")], kind)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
