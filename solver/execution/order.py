"""Order: what every worker of a run is told, as JSON; and how what it did is reported."""

from __future__ import annotations

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
        Training steps.
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
        Folder for the state at the end, or at a failure; ``None``: nothing is kept.
    keep
        Whether the state is written at the end too, or at a failure only.
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
    """What a worker tells whoever watches it while it runs."""

    def beat(self, step: int, index: int) -> None:
        """An instruction begins."""

    def report(self, event: dict[str, Any]) -> None:
        """Something happened that a person may want to see."""
