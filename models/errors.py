"""Faults in what people give us, listed whole, each with its path in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

MOST_SHOWN = 1000
"""Faults that a message spells out; the error holds them all."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    path
        Place in the document, as ``pipelines.0.stages.1.shares``.
    message
        What was given, what was needed, and what to do next.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """Return ``path: message``."""
        return f"{self.path}: {self.message}" if self.path else self.message


class PartageError(Exception):
    """Root of every error that partage raises on purpose."""


class InputError(PartageError):
    """What was given cannot be used. Carries every fault, not only the first.

    Parameters
    ----------
    faults
        Every fault found, in document order.
    what
        Name of the document, for the first line of the message.
    """

    def __init__(self, faults: Iterable[Fault], what: str = "input") -> None:
        self.faults = tuple(faults)
        self.what = what
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        lines = "\n".join(f"  - {fault}" for fault in self.faults[:MOST_SHOWN])
        if len(self.faults) > MOST_SHOWN:
            lines += f"\n  ... and {len(self.faults) - MOST_SHOWN:,} more"
        super().__init__(f"{what} cannot be used ({count}):\n{lines}")


def faults_in(check: Callable[[], object]) -> tuple[Fault, ...]:
    """Return the faults that a check raises; none if it passes.

    Parameters
    ----------
    check
        Raises InputError with what is wrong.
    """
    try:
        check()
    except InputError as error:
        return error.faults
    return ()
