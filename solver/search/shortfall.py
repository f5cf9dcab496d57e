"""Shortfall: memory that every plan needs, whatever its cut, against all there is."""

from __future__ import annotations

from solver.problem import Problem


def shortfall(problem: Problem) -> str:
    """Return why no plan at all can fit, with the numbers; empty if this says nothing.

    Parameters
    ----------
    problem
        What is decided.

    Notes
    -----
    Every block is held somewhere, with its gradients and optimizer states, and cutting a block divides them
    without loss. So their sum over all blocks must fit into the memory of all devices that can compute in
    the job's precision. A necessary condition, valid for plans of every space.
    """
    costs = problem.costs
    needed = 0
    for name in problem.workload.order:
        block = costs.block(name)
        needed += block.weight_bytes + block.trained_bytes + costs.state_bytes(block.trained_bytes)
    room = int(sum(problem.cluster.by_name[name].memory_bytes.value for name in problem.usable))
    if needed <= room:
        return ""
    return (
        f"memory: weights, gradients and optimizer states need {needed} bytes wherever they are held, and "
        f"all devices together have {room}: {needed - room} too many; freeze blocks, tune adapters only "
        f"(lora), take an optimizer with fewer states, or add devices"
    )
