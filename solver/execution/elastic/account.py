"""Account: what the boards of an elastic run did and when they were there, in all its generations.

Every member tells the times of its instructions after each step, and those of a step that broke off when it
stops. They are added up row by row as they come, so that a long run takes no more room than a short one; of
the first and last steps of each generation they are kept.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from solver.execution.elastic.line import Message
from solver.execution.elastic.whereabouts import Generation
from solver.execution.energy import intervals, lasted_s
from solver.execution.history import FIRST, LAST
from solver.execution.trace import finite
from solver.program import Floats, Program


@dataclass(frozen=True)
class Carried:
    """State of a block that a device sent another one between two generations.

    Parameters
    ----------
    source, target
        Who sent it to whom.
    num_bytes
        Weights and optimizer state.
    seconds
        How long it takes by the links of the cluster.
    """

    source: str
    target: str
    num_bytes: int
    seconds: float


@dataclass(frozen=True)
class Kept:
    """The times of one step's instructions.

    Parameters
    ----------
    step
        Which step.
    is_whole
        Whether every member did it to its end.
    start_s, end_s
        (num_instructions,): emulated seconds from its start; NaN where nothing was measured.
    """

    step: int
    is_whole: bool
    start_s: tuple[float, ...]
    end_s: tuple[float, ...]


@dataclass(frozen=True)
class Chapter:
    """One generation of a run that is over; all times in emulated seconds.

    Parameters
    ----------
    number
        Counted from 1.
    plan
        Its plan, as plain data.
    first_step
        Where it began.
    from_s, until_s
        From when it was decided, or from the first step of the run, until the next one was, or the last
        step ended.
    there_s
        How long of that time each device of the cluster was there.
    num_steps, in_steps_s
        Steps of which every member told the times, and how long the steps took whose loss is known.
    whole_s, broken_s
        (num_rows,): how long the instructions of each row of its Program lasted together, in those steps and
        in others.
    carried
        What moved before its first step.
    kept
        The times of its first and last steps, and of those that broke off.
    """

    number: int
    plan: dict[str, Any]
    first_step: int
    from_s: float
    until_s: float
    there_s: dict[str, float]
    num_steps: int
    in_steps_s: float
    whole_s: tuple[float, ...]
    broken_s: tuple[float, ...]
    carried: tuple[Carried, ...]
    kept: tuple[Kept, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; a time that nobody measured is null."""
        plain: dict[str, Any] = finite(asdict(self))
        return plain


_Times = tuple[int, Floats, Floats]
"""Step, and start and end of its instructions."""


@dataclass
class _Book:
    """A generation while it trains; times of instructions in emulated seconds, moments on this host."""

    generation: Generation
    program: Program
    from_s: float
    carried: tuple[Carried, ...]
    told: dict[int, dict[str, Floats]] = field(default_factory=dict)
    whole_s: Floats = field(default_factory=lambda: np.zeros(0))
    broken_s: Floats = field(default_factory=lambda: np.zeros(0))
    num_steps: int = 0
    in_steps_s: float = 0.0
    first: list[_Times] = field(default_factory=list)
    last: deque[_Times] = field(default_factory=lambda: deque(maxlen=LAST))
    broken: list[_Times] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.whole_s, self.broken_s = (np.zeros(len(self.program.rows)) for _ in range(2))

    def take(self, device: str, step: int, spans: Floats) -> None:
        """Take in what a member did in a step; when all have told, the step is whole."""
        told = self.told.setdefault(step, {})
        told[device] = spans
        if len(told) == len(self.generation.devices):
            start, end = self._intervals(step)
            self.whole_s += lasted_s(self.program, np.nan_to_num(start), np.nan_to_num(end))
            self.num_steps += 1
            kept = self.first if len(self.first) < FIRST else self.last
            kept.append((step, start, end))

    def _intervals(self, step: int) -> tuple[Floats, Floats]:
        told = self.told.pop(step)
        return intervals(self.program, [span for spans in told.values() for span in spans.tolist()])

    def close(self) -> None:
        """Add up what is left of steps that broke off."""
        for step in list(self.told):
            start, end = self._intervals(step)
            self.broken_s += lasted_s(self.program, np.nan_to_num(start), np.nan_to_num(end))
            self.broken.append((step, start, end))

    def kept(self) -> tuple[Kept, ...]:
        """Return the times that are kept."""
        found = [(True, one) for one in (*self.first, *self.last)] + [(False, one) for one in self.broken]
        return tuple(
            Kept(step, is_whole, tuple(start.tolist()), tuple(end.tolist()))
            for is_whole, (step, start, end) in found
        )


class Account:
    """Adds up a run while it lasts.

    Parameters
    ----------
    devices
        Of the cluster. Those that never come are taken to be there all the time.
    """

    def __init__(self, devices: Collection[str]) -> None:
        self.devices = tuple(devices)
        self.began_s: float | None = None
        self._books: list[_Book] = []
        self._there: dict[str, list[list[float]]] = {}

    def come(self, device: str, moment_s: float) -> None:
        """Note that a device is there from a moment on."""
        times = self._there.setdefault(device, [])
        if not times or times[-1][1] < math.inf:
            times.append([moment_s, math.inf])

    def go(self, device: str, moment_s: float) -> None:
        """Note that a device is off from a moment on."""
        times = self._there.get(device)
        if times and times[-1][1] == math.inf:
            times[-1][1] = max(times[-1][0], moment_s)

    def begin(
        self, generation: Generation, program: Program, carried: Sequence[Carried], moment_s: float
    ) -> None:
        """Begin a generation, and close the one before."""
        if self._books:
            self._books[-1].close()
        self._books.append(_Book(generation, program, moment_s, tuple(carried)))

    def hear(self, device: str, message: Message, moment_s: float) -> None:
        """Take in what a member of the generation that trains says of its steps.

        Parameters
        ----------
        device
            The member.
        message
            ``begins``, ``spans`` of a step, or the ``loss`` of one.
        moment_s
            When it was heard.
        """
        if "begins" in message and self.began_s is None:
            self.began_s = moment_s
        if "loss" in message:
            self._books[-1].in_steps_s += message["step_time_s"]
        if message.get("spans"):
            spans = np.array(message["spans"], float).reshape(-1, 3)
            spans[:, 1:] *= 1e-9 / (message.get("dilation") or 1.0)
            self._books[-1].take(device, message["of_step"], spans)

    def close(self, end_s: float, dilation: float) -> tuple[Chapter, ...]:
        """Return all generations.

        Parameters
        ----------
        end_s
            Moment at which the last step ended.
        dilation
            Host seconds per emulated second.
        """
        if self.began_s is None:
            return ()
        self._books[-1].close()
        moments = [*(max(self.began_s, book.from_s) for book in self._books), max(self.began_s, end_s)]
        moments[0] = self.began_s
        return tuple(
            self._chapter(book, moments[i], max(moments[i], moments[i + 1]), dilation)
            for i, book in enumerate(self._books)
        )

    def _chapter(self, book: _Book, from_s: float, until_s: float, dilation: float) -> Chapter:
        assert self.began_s is not None
        return Chapter(
            number=book.generation.number,
            plan=book.generation.plan.model_dump(mode="json", by_alias=True),
            first_step=book.generation.first_step,
            from_s=(from_s - self.began_s) / dilation,
            until_s=(until_s - self.began_s) / dilation,
            there_s={name: self._there_s(name, from_s, until_s) / dilation for name in self.devices},
            num_steps=book.num_steps,
            in_steps_s=book.in_steps_s,
            whole_s=tuple(book.whole_s.tolist()),
            broken_s=tuple(book.broken_s.tolist()),
            carried=book.carried,
            kept=book.kept(),
        )

    def _there_s(self, device: str, from_s: float, until_s: float) -> float:
        times: Sequence[Sequence[float]] = self._there.get(device, [(-math.inf, math.inf)])
        return sum(max(0.0, min(until_s, end) - max(from_s, start)) for start, end in times)


def told_spans(step: int, start_ns: int, spans: Mapping[int, tuple[int, int]]) -> Message:
    """Return what a member says of a step.

    Parameters
    ----------
    step, start_ns
        The step, and when it began.
    spans
        Start and end of its instructions, by their index in the Program.
    """
    found = [[index, start - start_ns, end - start_ns] for index, (start, end) in spans.items()]
    return {"of_step": step, "spans": found}
