"""Plans of stages with equal replicas of equal groups, devices in the order of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from solver.plan import Group, Plan, Stage, pipeline_plan
from solver.problem import Problem


class ReplicatedStage(NamedTuple):
    """Blocks, how many replicas run them, devices of each replica, and variants that are not the first."""

    blocks: tuple[str, ...]
    num_replicas: int
    degree: int = 1
    variants: Mapping[str, int] = {}


def even_shares(samples: int, num_parts: int) -> list[int]:
    """Return shares of samples that differ by one at most, larger ones first."""
    whole, rest = divmod(samples, num_parts)
    return [whole + (i < rest) for i in range(num_parts)]


def replicated_plan(problem: Problem, stages: Sequence[ReplicatedStage], num_micro_batches: int = 1) -> Plan:
    """Return the plan of some stages.

    Parameters
    ----------
    problem
        What is decided; its usable devices are taken in order.
    stages
        The stages in order.
    num_micro_batches
        Micro-batches of a step; divides the batch.
    """
    names = iter(problem.usable)
    samples = problem.job.batch // num_micro_batches
    made = []
    for stage in stages:
        units = _units(problem, stage)
        shares: dict[str, int | Group] = {}
        for r, share in enumerate(even_shares(samples, stage.num_replicas)):
            group = [next(names) for _ in range(stage.degree)]
            if stage.degree == 1:
                shares[group[0]] = share
            else:
                table: dict[str, int | Group] = dict.fromkeys(group, units)
                shares[f"replica{r}"] = Group(samples=share, mode="tensor", shares=table)
        made.append(Stage(blocks=stage.blocks, shares=shares, variants=dict(stage.variants)))
    return pipeline_plan(problem, made, num_micro_batches)


def _units(problem: Problem, stage: ReplicatedStage) -> int:
    """Return the heads of each device of a group."""
    tensor = problem.workload.by_name[stage.blocks[0]].tensor
    return max(1, (tensor.heads or 1) // stage.degree) if tensor else 1
