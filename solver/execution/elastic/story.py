"""Story: what happened to an elastic run, event by event, and what each event cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Event:
    """Devices left, or came back.

    Parameters
    ----------
    kind
        ``lost`` or ``returned``.
    device
        Whose event.
    reason
        How it shows: its connection closed, no sign of life, a link that stays silent.
    step
        Step in work when it happened.
    detect_s
        Seconds from the fault to when it was noticed. For a fault nobody did on purpose: from the last sign
        of life.
    """

    kind: str
    device: str
    reason: str
    step: int
    detect_s: float | None = None


@dataclass
class Change:
    """The passage from one generation to the next.

    Parameters
    ----------
    generation
        The new one.
    events
        Why.
    step
        First step of the new generation.
    steps_lost
        Steps done before that have to be done again, the one in flight not counted.
    in_flight_lost
        Whether a step in work was broken off.
    how
        Which policy's plan goes on.
    candidates
        Figures of all plans that were compared, the chosen one first.
    step_s_before, step_s_after
        Predicted time of a step before and after, emulated seconds.
    stop_s, replan_s, move_s, resume_s
        Real seconds: until all survivors had stopped, to find the plan, until all had their weights, and
        from noticing to the start of the next step.
    moved_bytes
        Weights and optimizer state that moved.
    plan_before, plan_after
        The plans.
    """

    generation: int
    events: list[Event]
    step: int
    steps_lost: int
    in_flight_lost: bool
    how: str
    candidates: list[dict[str, Any]]
    step_s_before: float
    step_s_after: float
    stop_s: float
    replan_s: float
    move_s: float
    resume_s: float
    moved_bytes: int
    plan_before: dict[str, Any]
    plan_after: dict[str, Any]


@dataclass
class Story:
    """An elastic run.

    Parameters
    ----------
    changes
        All passages, in order.
    fenced
        Device to how many of its messages came from a generation that was over, and were turned away.
    losses
        Of every step that counts.
    step_times_s
        Emulated seconds of each.
    predicted_s
        Predicted time of each under the plan that did it, emulated seconds.
    devices_alive
        Devices that did each.
    wall_s
        Real seconds from the start of the first step to the end of the last.
    dilation
        Real seconds per emulated second; 1 in raw mode.
    checkpoints
        What came of each: its folder and number of steps, or why it could not be written.
    """

    changes: list[Change] = field(default_factory=list)
    fenced: dict[str, int] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    step_times_s: list[float] = field(default_factory=list)
    predicted_s: list[float] = field(default_factory=list)
    devices_alive: list[int] = field(default_factory=list)
    wall_s: float = 0.0
    dilation: float = 1.0
    checkpoints: list[dict[str, Any]] = field(default_factory=list)

    def take_back(self, num_steps: int) -> None:
        """Forget the last steps: they are done again."""
        for column in (self.losses, self.step_times_s, self.predicted_s, self.devices_alive):
            del column[len(column) - num_steps :]

    @property
    def detect_s(self) -> float:
        """Seconds during which nobody knew of a fault."""
        lost = (event for change in self.changes for event in change.events if event.kind == "lost")
        return sum(event.detect_s or 0.0 for event in lost)

    @property
    def throughput_kept(self) -> float:
        """Predicted time of the steps that count, over the wall time without detection."""
        return self.dilation * sum(self.predicted_s) / (self.wall_s - self.detect_s)

    def outline(self) -> list[dict[str, Any]]:
        """Return what the same faults from the same seed give again: no measured time is in it."""
        return [
            {
                "generation": change.generation,
                "events": [(event.kind, event.device) for event in change.events],
                "step": change.step,
                "steps_lost": change.steps_lost,
                "how": change.how,
                "step_s_after": change.step_s_after,
                "plan_after": change.plan_after["pipelines"],
            }
            for change in self.changes
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"detect_s": self.detect_s, "throughput_kept": self.throughput_kept}
