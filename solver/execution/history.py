"""History: what one worker remembers of its steps or rounds; of long runs little more than of short ones."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from solver.program import COMPUTE, Program, Row

Span = tuple[int, int]
"""Start and end, nanoseconds."""

FIRST, LAST = 16, 16
"""So many of the first and of the last steps keep the spans of their instructions."""

WORST = 100
"""So many overruns are kept one by one; all are counted."""


@dataclass
class StepRecord:
    """What one step of one worker was.

    Parameters
    ----------
    start_ns, end_ns
        When it began and when its last instruction was done.
    losses
        Its part of the loss; of every step of a round.
    spans
        Index to start and end of its computations, receives and collectives, nanoseconds.
    taken_ns
        Index to the time it really took from its start until all was done; of transfers, padded runs only.
    overruns
        (row, seconds) of what took longer than the plan says.
    peak_bytes
        Largest memory that changes during the step.
    """

    start_ns: int = 0
    end_ns: int = 0
    losses: list[float] = field(default_factory=list)
    spans: dict[int, Span] = field(default_factory=dict)
    taken_ns: dict[int, int] = field(default_factory=dict)
    overruns: list[tuple[Row, float]] = field(default_factory=list)
    peak_bytes: int = 0


class History:
    """Four numbers of every step, and the spans of the first and the last ones.

    Parameters
    ----------
    program
        What is carried out.
    """

    def __init__(self, program: Program) -> None:
        self._computes = [row.kind in COMPUTE for row in program.rows]
        self._row = program.row
        self.losses, self.step_times_s, self.began_s, self._busy_ns = (array("d") for _ in range(4))
        self._peak_bytes = self._num_overruns = 0
        self._overruns: list[tuple[str, int, float]] = []
        self._first: list[tuple[int, StepRecord]] = []
        self._last: deque[tuple[int, StepRecord]] = deque(maxlen=LAST)

    def __len__(self) -> int:
        return len(self._busy_ns)

    def add(self, record: StepRecord) -> None:
        """Take a step in, before all workers have told its loss."""
        step = len(self)
        spans = record.spans.items()
        self._busy_ns.append(sum(end - start for i, (start, end) in spans if self._computes[self._row[i]]))
        self._peak_bytes = max(self._peak_bytes, record.peak_bytes)
        self._num_overruns += len(record.overruns)
        room = max(0, WORST - len(self._overruns))
        self._overruns += [(row.label, step, late) for row, late in record.overruns[:room]]
        kept = self._first if step < FIRST else self._last
        kept.append((step, record))

    def close(self, losses: Sequence[float], began_s: float, step_time_s: float) -> None:
        """Note what all workers found of the step that was taken in last.

        Parameters
        ----------
        losses
            Its loss, or the losses of a round's steps.
        began_s
            When it began, host seconds.
        step_time_s
            How long it took, emulated seconds; of a round, the mean of its steps.
        """
        self.losses.extend(losses)
        self.began_s.append(began_s)
        self.step_times_s.append(step_time_s)

    def to_json(self, dilation: float) -> dict[str, Any]:
        """Return it as plain data.

        Parameters
        ----------
        dilation
            Host seconds per emulated second.
        """
        seconds = 1e-9 / dilation
        return {
            "losses": list(self.losses),
            "step_times_s": list(self.step_times_s),
            "began_s": [moment - self.began_s[0] for moment in self.began_s],
            "busy_s": [busy * seconds for busy in self._busy_ns],
            "peak_bytes": self._peak_bytes,
            "num_overruns": self._num_overruns,
            "overruns": [list(overrun) for overrun in self._overruns],
            "kept_steps": [
                {
                    "step": step,
                    "spans": [
                        [index, (start - record.start_ns) * seconds, (end - record.start_ns) * seconds]
                        for index, (start, end) in sorted(record.spans.items())
                    ],
                }
                for step, record in (*self._first, *self._last)
            ],
        }
