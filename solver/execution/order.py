"""Order: what every worker of a run is told, as JSON; and how what it did is reported."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan

RunMode = Literal["padded", "raw"]


@dataclass(frozen=True)
class Order:
    """A run.

    Parameters
    ----------
    plan, workload, cluster
        What is carried out, as plain data.
    steps
        Training steps in all, those before a checkpoint included.
    mode
        ``padded``: every operation and message lasts as long as the plan says; ``raw``: as long as it takes.
    dilation
        Padded: real seconds per emulated second; ``None``: found by a rehearsal.
    seed
        Of weights and data.
    learning_rate
        Step size; ``None``: the optimizer's default.
    reference
        Whether the undivided run is done too.
    limit_s
        Longest wait for a message beyond what the plan takes.
    checkpoint
        Folder of the checkpoints; ``None``: nothing is kept.
    keep
        Whether one is written at the end too, or at a failure only.
    checkpoint_every
        Steps between two checkpoints; 0: none on the way.
    keep_checkpoints
        How many of them stay.
    resume
        Folder of the checkpoint it goes on from, on the first worker's disk; ``None``: it begins anew.
    deployment
        Folder of the deployment whose weights the workers begin with; ``None``: they make them from the seed.
    first_step
        Number of the first step: those in that checkpoint.
    earlier_losses
        Losses of the steps before.
    """

    plan: dict[str, Any]
    workload: dict[str, Any]
    cluster: dict[str, Any]
    steps: int
    mode: RunMode
    dilation: float | None
    seed: int
    learning_rate: float | None
    reference: bool
    limit_s: float
    checkpoint: str | None = None
    keep: bool = False
    checkpoint_every: int = 0
    keep_checkpoints: int = 3
    resume: str | None = None
    deployment: str | None = None
    first_step: int = 0
    earlier_losses: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, plan: Plan, workload: Workload, cluster: Cluster, **rest: Any) -> Self:
        """Make an order from documents."""
        return cls(
            plan=plan.model_dump(mode="json", by_alias=True),
            workload=workload.model_dump(mode="json", by_alias=True),
            cluster=cluster.model_dump(mode="json", by_alias=True),
            **rest,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def documents(self) -> tuple[Plan, Workload, Cluster]:
        """Return plan, workload and cluster."""
        return (
            Plan.model_validate(self.plan),
            Workload.model_validate(self.workload),
            Cluster.model_validate(self.cluster),
        )


class Channel(Protocol):
    """What a worker tells whoever watches it while it runs, and hears from there.

    Attributes
    ----------
    stopping
        Set when all workers are to write a checkpoint after the step in work, and end.
    """

    stopping: threading.Event

    def beat(self, step: int, index: int) -> None:
        """An instruction begins."""

    def report(self, event: dict[str, Any]) -> None:
        """Something happened that a person may want to see."""
