"""Tuning: what a job trains of a net, whole blocks or low-rank adapters; the rest is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from models.nets.lora import LowRank, adapt
from models.nets.net import Net
from models.workload import Workload
from solver.costs import Costs
from solver.job import Job
from solver.plan import Plan, share_devices


@dataclass(frozen=True)
class Tuning:
    """What is trained.

    Parameters
    ----------
    workload, job
        The card, and what is asked of it.
    trains_a
        Whether an adapter's A factor is trained beside B.
    ranks
        Rank of the adapters of a block where it is not the job's.

    Notes
    -----
    An adapter adds alpha / rank times B A to its layer, rank and alpha being the job's: a device of a rank of
    its own has the same scale as the others, so that the products of their factors can be averaged.
    """

    workload: Workload
    job: Job
    trains_a: bool = True
    ranks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, workload: Workload, device: str | None = None) -> Self:
        """Return what a plan trains.

        Parameters
        ----------
        plan, workload
            The plan, and its card.
        device
            Whose ranks; ``None``: each block has the rank of the first device that holds it.
        """
        ranks: dict[str, int] = {}
        for pipeline in plan.pipelines:
            for stage in pipeline.stages:
                for holder in share_devices(stage.shares):
                    choice = plan.devices.get(holder)
                    rank = (choice.rank if choice else None) or plan.job.lora_rank
                    if rank is not None and device in (None, holder):
                        ranks = dict.fromkeys(stage.blocks, rank) | ranks
        return cls(workload, plan.job, plan.sync.rule != "ffa", ranks)

    def apply(self, net: Net, seed: int) -> None:
        """Freeze what is not trained, and put the adapters into their layers.

        Parameters
        ----------
        net
            Some or all blocks.
        seed
            Of the net; the adapters begin with it.
        """
        trains = Costs(self.workload, self.job).trains
        for name, block in net.blocks.items():
            for weight in net.weights(name).values():
                weight.requires_grad_(trains[name] == "full")
            if trains[name] == "lora":
                adapt(block, name, self.low_rank(name), seed)

    def low_rank(self, block: str) -> LowRank:
        """Return how the layers of a block are adapted; the job must ask for it."""
        own = self.job.lora_rank
        assert own is not None
        scale = 1.0 if self.job.lora_alpha is None else self.job.lora_alpha / own
        return LowRank(self.ranks.get(block, own), scale, self.trains_a)
