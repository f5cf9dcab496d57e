"""hetpipe: virtual workers: pipelines of unequal devices side by side, gradients averaged in every wave.

Source: Park et al., "HetPipe", USENIX ATC 2020, arXiv:2005.14038, recalled: devices are grouped into virtual
workers; each runs the whole model as a pipeline, cut so that its slowest stage is as fast as memory allows
(an integer programme there, an exact dynamic programme here); workers push their gradients once a wave.
Devices are allocated by its policies node partition (alike ones together) and equal distribution (dealt out
by speed, so that workers are alike). In the plan language a worker is a pipeline with its part of the
micro-batches, in proportion to the speed of its slowest stage, and a step is a wave: what HetPipe's staleness
bound of 0 gives. The devices of a worker stand most memory first, since the first stage holds most; a
stage's time is what it computes and receives.

Assumes a chain that is trained; declines others, and problems whose tables do not fit. Every number of
workers is judged by the evaluator, under both policies. The problem's number of micro-batches is taken, for
all workers together; where it is open, 4, else 8, 2 or 1. Claim: a heuristic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from solver.layout import apportion
from solver.plan import Pipeline, Plan, plan_of
from solver.problem import Problem
from solver.program import Floats
from solver.search.chains.chain import Bools
from solver.search.incumbent import Search
from solver.search.literature.group_tables import GroupTables, group_tables
from solver.search.shares import chain_stages, offer_all, speeds
from solver.space import Space
from solver.status import Outcome

Workers = tuple[tuple[int, ...], ...]
"""Devices of every virtual worker, by number."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer every number of virtual workers under both policies.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        Unless it is a chain that is trained, of moderate size.
    """
    tables = group_tables(problem)
    space = Space(num_micro_batches=(tables.num_micro_batches,))
    best = offer_all(search, _plans(tables))
    without = "no worker has a cut that keeps the limits of memory_bytes" if search.nearest is None else ""
    return Outcome(space, reason="all numbers of workers were judged" if best < math.inf else without)


def _plans(tables: GroupTables) -> Iterator[Plan]:
    speed = speeds(tables.problem, tables.samples)
    by_speed = sorted(range(len(tables.devices)), key=lambda v: -speed[tables.devices[v]])
    most = min(len(by_speed), tables.num_micro_batches)
    workers = (allocation for num in range(1, most + 1) for allocation in allocations(by_speed, num))
    for allocation in dict.fromkeys(workers):
        plan = _plan(tables, allocation)
        if plan is not None:
            yield plan


def allocations(by_speed: Sequence[int], num_workers: int) -> tuple[Workers, Workers]:
    """Return the devices of the workers by node partition, and by equal distribution.

    Parameters
    ----------
    by_speed
        Devices, the fastest first.
    num_workers
        At most the number of devices.
    """
    alike = tuple(tuple(part.tolist()) for part in np.array_split(np.array(by_speed), num_workers))
    dealt = tuple(tuple(by_speed[k::num_workers]) for k in range(num_workers))
    return alike, dealt


def _plan(tables: GroupTables, workers: Workers) -> Plan | None:
    problem, cuts, bottlenecks, orders = tables.problem, [], [], []
    for worker in workers:
        order = sorted(worker, key=lambda v: -tables.limit_bytes[v])[: tables.num_blocks]
        found = least_bottleneck(stage_times(tables, order), tables.chain.fits[order])
        if found is None:
            return None
        bottlenecks.append(found[0])
        cuts.append(found[1])
        orders.append(order)
    rates = {str(k): 1 / max(seconds, 1e-300) for k, seconds in enumerate(bottlenecks)}
    more = apportion(rates, tables.num_micro_batches - len(workers))
    pipelines = [
        Pipeline(
            micro_batches=1 + more.get(str(k), 0),
            samples=tables.samples,
            stages=tuple(chain_stages(problem, cuts[k], [tables.devices[v] for v in order], tables.samples)),
        )
        for k, order in enumerate(orders)
    ]
    return plan_of(problem, pipelines)


def stage_times(tables: GroupTables, order: Sequence[int]) -> Floats:
    """Return (K, L + 1, L + 1) seconds a micro-batch takes stage [h, i) of a worker: computed and received.

    Parameters
    ----------
    tables
        Costs of stages.
    order
        (K,), devices of the worker's stages.
    """
    found: Floats = tables.chain.compute_s[list(order)].copy()
    messages = tables.chain.message_s
    for s, v in enumerate(order):
        if s > 0:
            found[s] += messages[order[s - 1], v][:, None]
        if s + 1 < len(order):
            found[s] += np.where(tables.gradients, messages[order[s + 1], v], 0.0)[None, :]
    return found


def least_bottleneck(times: Floats, fits: Bools) -> tuple[float, list[int]] | None:
    """Cut a chain into one stage for each device so that the slowest is fastest; ``None`` if none fits.

    Parameters
    ----------
    times
        (K, L + 1, L + 1), seconds of stage [h, i) at each place.
    fits
        (K, depths, L + 1, L + 1), whether the device there may hold it at a depth.

    Returns
    -------
    tuple
        Seconds of the slowest stage, and (K + 1,) where each stage begins, and the end.
    """
    num, length = times.shape[0], times.shape[1]
    best = np.where(np.arange(length) == length - 1, 0.0, np.inf)
    ends = []
    for s in range(num - 1, -1, -1):
        allowed = np.where(fits[s, num - s], times[s], np.inf)
        value = np.maximum(allowed, best[None, :])
        ends.append(value.argmin(axis=1))
        best = value.min(axis=1)
    if not np.isfinite(best[0]):
        return None
    cuts = [0]
    for end in reversed(ends):
        cuts.append(int(end[cuts[-1]]))
    return float(best[0]), cuts
