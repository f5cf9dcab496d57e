"""Progress of long work, on standard error only; where nobody watches it is quiet, or a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG_S = 20.0
"""Seconds between two lines of a log."""


@contextmanager
def planning(objective: str) -> Iterator[Callable[[str, float], None]]:
    """Show the best score so far while a solver works.

    Parameters
    ----------
    objective
        What the score is.
    """
    from rich.console import Console

    from solver.problem import OBJECTIVES

    unit = OBJECTIVES.get(objective, ("", ""))[1]
    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty():
        yield lambda message, score: None
        return
    with console.status("planning ...") as status:
        yield lambda message, score: status.update(f"planning: {message}, {objective} {score:.6g} {unit}")


@contextmanager
def training(steps: int) -> Iterator[Callable[[int, float], None]]:
    """Show the step and its loss while a run goes on.

    Parameters
    ----------
    steps
        How many there will be.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty():
        yield lambda step, loss: None
        return
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=steps, text="starting workers")
        yield lambda step, loss: bar.update(task, completed=step + 1, text=f"step {step + 1} loss {loss:.5f}")


@contextmanager
def benching() -> Iterator[Callable[[str, int, int], None]]:
    """Show what a bench did last, how many runs are done, and when it will end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty():
        yield lambda text, done, total: None
        return
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("bench", total=None, text="")
        yield lambda text, done, total: bar.update(task, completed=done, total=total, text=text)


@contextmanager
def validating() -> Iterator[Callable[[int, int], None]]:
    """Show how many runs of a suite are predicted."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("predicting", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def profiling() -> Iterator[Callable[[int, int], None]]:
    """Show how many blocks are timed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (TextColumn("timing blocks"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        task = bar.add_task("profile", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def weighing() -> Iterator[Callable[[str], None]]:
    """Show which group of devices is being planned for; in a log, a line every 20 seconds."""
    from rich.console import Console

    if not sys.stderr.isatty():
        yield _now_and_then(LOG_S)
        return
    with Console(stderr=True, highlight=False).status("planning for groups ...") as status:
        yield lambda message: status.update(f"planning for groups: {message}")


def _now_and_then(seconds: float) -> Callable[[str], None]:
    """Return what writes a message to standard error unless it wrote one a moment ago."""
    last_s = time.monotonic()

    def tell(message: str) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= seconds:
            last_s = time.monotonic()
            print(f"planning for groups: {message}", file=sys.stderr, flush=True)

    return tell
