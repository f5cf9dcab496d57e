"""What all verbs share: exit codes, flags, and how they speak."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import Fault

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


def console(least_width: int = 0) -> Any:
    """Return a console for standard output; in a file or a pipe it has at least so many columns."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, least_width)
    return made
