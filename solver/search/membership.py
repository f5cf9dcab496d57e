"""Membership: whether a plan belongs to a space, so that a bound on the space is a bound on the plan."""

from __future__ import annotations

from solver.plan import DeviceChoice, Explicit, Plan, Stage, Sync
from solver.problem import Problem
from solver.space import Space


def belongs(plan: Plan, space: Space, problem: Problem) -> bool:
    """Return whether a plan belongs to a space; where it cannot be told, it does not.

    Parameters
    ----------
    plan
        A sound plan for the problem.
    space
        What a solver looked among.
    problem
        What is decided.
    """
    (pipeline, *others) = plan.pipelines
    if others or not isinstance(pipeline.micro_batches, int) or not _is_plain(plan, problem, space):
        return False
    stages = pipeline.stages
    return (
        pipeline.micro_batches in space.num_micro_batches
        and (space.max_stages is None or len(stages) <= space.max_stages)
        and all(_has_stage(stage, space) for stage in stages)
        and _stages_per_device(stages) <= space.stages_per_device
        and (space.in_flight == "free" or _keeps_rule(stages, pipeline.micro_batches, problem))
    )


def _is_plain(plan: Plan, problem: Problem, space: Space) -> bool:
    """Return whether nothing is decided beside the stages, and power modes where the space has them."""
    schedule = plan.schedule == problem.schedule and plan.sync == Sync() and not plan.backup
    chosen = [choice for choice in plan.devices.values() if choice != DeviceChoice()]
    if space.power_modes == "free":
        chosen = [choice for choice in chosen if choice != DeviceChoice(power_mode=choice.power_mode)]
    return schedule and not chosen and plan.left_out == problem.left_out


def _has_stage(stage: Stage, space: Space) -> bool:
    if stage.mode not in space.modes or stage.recompute or stage.instances or stage.routing:
        return False
    if isinstance(stage.shares, Explicit):
        return False
    shares = [share for share in stage.shares.values() if isinstance(share, int)]
    if len(shares) < len(stage.shares) or (space.max_group is not None and len(shares) > space.max_group):
        return False
    if stage.ring and space.rings == "nearest":
        return False
    step = space.share_step
    return len(shares) == 1 or (step is not None and all(share % step == 0 for share in shares))


def _stages_per_device(stages: tuple[Stage, ...]) -> int:
    count: dict[str, int] = {}
    for stage in stages:
        for name in dict(stage.shares):
            count[name] = count.get(name, 0) + 1
    return max(count.values())


def _keeps_rule(stages: tuple[Stage, ...], num_micro_batches: int, problem: Problem) -> bool:
    """Return whether caps are those of the schedule; a graph of stages is not looked through."""
    if all(stage.in_flight is None for stage in stages) or problem.schedule == "gpipe":
        return True
    if not problem.workload.is_chain:
        return False
    place = {name: i for i, name in enumerate(problem.workload.order)}
    in_order = sorted(stages, key=lambda stage: place[stage.blocks[0]])
    rule = [min(2 * (len(stages) - s) - 1, num_micro_batches) for s in range(len(stages))]
    given = [
        cap if stage.in_flight is None else min(stage.in_flight, num_micro_batches)
        for stage, cap in zip(in_order, rule, strict=True)
    ]
    return given == rule
