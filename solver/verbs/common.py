"""What all verbs share: exit codes, flags, and how they speak."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from models.errors import Fault, InputError, PartageError, faults_in

DONE, NO, WRONG_INPUT, BROKE, INTERRUPTED = 0, 1, 2, 3, 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


def say(text: str) -> None:
    """Say something to the person, on standard error."""
    print(text, file=sys.stderr)


def print_json(data: Any) -> None:
    """Print the one JSON document of a verb on standard output."""
    print(json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False))


def out_faults(out: Path, *, force: bool, folder: bool) -> Iterator[Fault]:
    """Yield why results could not be written, before long work is done for them."""
    if out.exists() and not force:
        yield Fault("--out", f"{out} exists; give another name, or --force")
    elif out.exists() and out.is_dir() != folder:
        kinds = ("a file", "a folder") if folder else ("a folder", "a file")
        yield Fault("--out", f"{out} is {kinds[0]}; give the name of {kinds[1]}")
    near = next(path for path in out.absolute().parents if path.exists())
    if not (near.is_dir() and os.access(near, os.W_OK | os.X_OK)):
        yield Fault("--out", f"cannot write {out}: {near} is no folder that can be written to")


def suffix_faults(out: Path) -> Iterator[Fault]:
    """Yield what is wrong with the name of a file that is written as JSON, and may be read again."""
    if out.suffix != ".json":
        yield Fault("--out", f"{out} is JSON; give it the suffix .json")


def seconds_faults(time_limit: float) -> Iterator[Fault]:
    """Yield why a limit of time is none."""
    if not (math.isfinite(time_limit) and time_limit >= 0):
        yield Fault("--time-limit", f"{time_limit} is no number of seconds")


def rule_faults(rule: str) -> tuple[Fault, ...]:
    """Return why there is no such rule to choose participants by."""
    from solver.participation.rules import rule_of

    return faults_in(lambda: rule_of(rule))


def solver_faults(solver: str | None, mip: str = "cbc") -> Iterator[Fault]:
    """Yield why there is no such solver, or no such mixed-integer back end."""
    from solver.catalog import name_faults
    from solver.formulations.mip import check_back_end

    yield from name_faults(solver)
    if mip != "cbc":
        yield from faults_in(lambda: check_back_end(mip))


MadeT = TypeVar("MadeT")


def judged(faults: Iterable[Fault], make: Callable[[], MadeT], what: str) -> MadeT:
    """Return what is made, unless there are faults: then all of them are told, those of making it too.

    Parameters
    ----------
    faults
        Found so far.
    make
        Makes it, or raises InputError.
    what
        Name for the message.
    """
    known = list(faults)
    try:
        made = make()
    except InputError as error:
        raise (InputError([*known, *error.faults], what) if known else error) from None
    if known:
        raise InputError(known, what)
    return made


def console(least_width: int = 0) -> Any:
    """Return a console for standard output; in a file or a pipe it has at least so many columns."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, least_width)
    return made


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Send what anything prints on standard output, libraries in C included, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def solving(solver: str) -> Iterator[None]:
    """Send what a solver prints to standard error, and say whose fault it is if it raises.

    Parameters
    ----------
    solver
        Its name.
    """
    from solver.errors import SolverError

    with quiet_stdout():
        try:
            yield
        except PartageError:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exception(error)
            raise SolverError(f"solver {solver} raised {type(error).__name__}: {error}") from None
