"""Every error partage raises on purpose, as one tree.

::

    PartageError                 the root
    ├── InputError               what was given cannot be used: every fault with its path   (exit code 2)
    ├── DeclinedError            a solver cannot express this problem, with the reason
    ├── InternalError            two of our own figures disagree: a bug worth reporting      (exit code 3)
    └── RunError                 a run broke                                                (exit code 3)
        ├── SolverError          a solver raised, or what it returned cannot be used
        └── WorkerError          a worker died, hung or raised: which device, at which instruction

Infeasible is an answer (``Status.INFEASIBLE``), not an error.
"""

from __future__ import annotations

from models.errors import Fault, InputError, PartageError

__all__ = [
    "DeclinedError",
    "Fault",
    "InputError",
    "InternalError",
    "PartageError",
    "RunError",
    "SolverError",
    "WorkerError",
]


class DeclinedError(PartageError):
    """A solver cannot express this problem; the message says why and what to use instead."""


class InternalError(PartageError):
    """Two of our own figures disagree."""


class RunError(PartageError):
    """A run broke."""


class SolverError(RunError):
    """A solver raised, or what it returned cannot be used."""


class WorkerError(RunError):
    """A worker died, hung or raised.

    Parameters
    ----------
    device
        Name of the device it stood for.
    instruction
        The last instruction it began, in words.
    reason
        What happened to it.
    """

    def __init__(self, device: str, instruction: str, reason: str) -> None:
        self.device = device
        self.instruction = instruction
        self.reason = reason
        super().__init__(f"worker of {device} {reason}; last instruction: {instruction}")
