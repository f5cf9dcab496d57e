"""Placement: a device for every block, as the stages of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem

MOST_SMALL_STAGES = 160
"""Blocks beyond which stages of one block each are not offered: lowering them takes too long."""


def placed_plans(problem: Problem, device_of: Sequence[str], num_micro_batches: int) -> Iterator[Plan]:
    """Yield the plan with the fewest stages of a placement, and the one with a stage for every block.

    Parameters
    ----------
    problem
        What is decided.
    device_of
        (num_blocks,), device of every block of ``workload.order``.
    num_micro_batches
        Micro-batches of a step.

    Notes
    -----
    A stage passes its outputs on when it is done: fewer stages have fewer messages, more stages let others
    begin earlier.
    """
    samples = problem.job.batch // num_micro_batches
    order = problem.workload.order
    groups = convex_groups(problem, device_of)
    place = {name: i for i, name in enumerate(order)}
    small = [(name,) for name in order] if len(order) <= MOST_SMALL_STAGES else groups
    for chosen in dict.fromkeys((tuple(groups), tuple(small))):
        stages = [Stage(blocks=blocks, shares={device_of[place[blocks[0]]]: samples}) for blocks in chosen]
        yield pipeline_plan(problem, stages, num_micro_batches)


def convex_groups(problem: Problem, device_of: Sequence[str]) -> list[tuple[str, ...]]:
    """Return blocks in few groups of one device each such that no two groups wait for each other.

    Parameters
    ----------
    problem
        What is decided.
    device_of
        (num_blocks,), device of every block of ``workload.order``.

    Notes
    -----
    In topological order a block joins the latest group of its device that is before none of the groups the
    block reads from; without such a group it begins one.
    """
    group_of: dict[str, int] = {}
    members: list[list[str]] = []
    before: list[set[int]] = []
    groups_on: dict[str, list[int]] = {}
    for name, device in zip(problem.workload.order, device_of, strict=True):
        read = {group_of[edge.source] for edge in problem.workload.predecessors[name]}
        mine = groups_on.setdefault(device, [])
        found = next((g for g in reversed(mine) if not any(g in before[t] for t in read - {g})), None)
        if found is None:
            found = len(members)
            mine.append(found)
            members.append([])
            before.append(set())
        members[found].append(name)
        group_of[name] = found
        for t in read - {found}:
            before[found] |= {t} | before[t]
        for later in before:
            if found in later:
                later |= before[found]
    return [tuple(blocks) for blocks in members]
