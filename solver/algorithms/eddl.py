"""eddl: data parallel in uneven shares, so that nobody waits for a straggler, who may have to stay out.

Source: Hao and Zhang, "EDDL: a distributed deep learning system for resource-limited edge computing
environment", SEC 2021, known to us by its abstract: training shared out over unequal boards, stragglers dealt
with, devices joining and leaving. The rule is ours in those terms. Samples are given one by one to the device
that would be done first with one more, as far as its memory goes, which is optimal for the slowest time; that
is done for the k fastest devices, for every k, and the estimate of a step (slowest device, then the ring of
gradients) says which k it is.

It differs from ``data_parallel``, the textbook rule: all devices, in proportion to speed, whatever the
memory. Assumes training; declines serving. Where the number of micro-batches is open, every one is estimated
whose samples are not too many to be given one by one; where all are, it declines.
The evaluator judges plans by their estimate until one keeps every limit. Claim: a heuristic.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from solver.errors import DeclinedError
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Floats
from solver.search.incumbent import Search
from solver.search.shares import speeds
from solver.space import Space
from solver.status import Outcome

MOST_SAMPLES = 2_000_000
"""Of a micro-batch: they are given one by one, for every number of devices."""
SAMPLES_A_LOOK = 10_000
"""Samples that are given before the clock is looked at."""


class Shares(NamedTuple):
    """Samples of each device, with the estimate of a step."""

    step_s: float
    num_micro_batches: int
    samples: tuple[tuple[str, int], ...]


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the shares with the least estimate that keep every limit.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        For serving, under published cost rules, and for micro-batches of too many samples.
    """
    if problem.job.kind == "serve":
        raise DeclinedError("eddl shares out samples of training; a request is not shared out")
    if problem.settings.rule != "program" or problem.settings.transfers != "link":
        raise DeclinedError("eddl knows nothing of published cost rules; use best")
    batch = problem.job.batch
    counts = tuple(count for count in problem.micro_batch_counts if batch // count <= MOST_SAMPLES)
    if not counts:
        least = batch // max(problem.micro_batch_counts)
        message = f"micro-batches have {least} samples at least; eddl gives up to {MOST_SAMPLES} one by one"
        raise DeclinedError(f"{message}; give more micro-batches, or another batch")
    space = Space(max_group=None, max_stages=1, num_micro_batches=counts, share_step=None)
    found: set[Shares] = set()
    links = _links(problem)
    for count in counts:
        found |= _candidates(problem, search, count, links)
    for one in sorted(found):
        search.tick()
        stage = Stage(blocks=problem.workload.order, shares=dict(one.samples))
        if search.offer(pipeline_plan(problem, [stage], one.num_micro_batches)) < math.inf:
            return Outcome(space, reason="the shares of the least estimate that fits")
    return Outcome(space, reason="" if found else "no board has memory_bytes for the whole workload")


def _candidates(problem: Problem, search: Search, count: int, links: tuple[Floats, Floats]) -> set[Shares]:
    """Return the shares of the k fastest devices for every k, for one number of micro-batches."""
    samples = problem.job.batch // count
    speed = speeds(problem, samples)
    room = {name: _room(problem, name, samples) for name in problem.usable}
    fitting = sorted((name for name in problem.usable if room[name]), key=lambda name: -speed[name])
    found = set()
    times = {}
    for name in fitting:
        search.tick(0)
        times[name] = _times_s(problem, name, samples)
    for k in range(1, len(fitting) + 1):
        search.tick()
        shares = earliest_done(times, {name: room[name] for name in fitting[:k]}, samples, search)
        if shares is None:
            continue
        slowest = max(float(times[name][n]) for name, n in shares.items())
        given = tuple((name, shares[name]) for name in problem.usable if name in shares)
        found.add(Shares(count * slowest + _ring_s(problem, list(shares), links), count, given))
    return found


def earliest_done(
    times: dict[str, Floats], room: dict[str, int], samples: int, search: Search | None = None
) -> dict[str, int] | None:
    """Give samples one by one to the device that would be done first; ``None`` without room for all.

    Parameters
    ----------
    times
        (samples + 1,) seconds of each device by its samples, increasing.
    room
        Most samples of each device.
    samples
        How many there are.
    search
        Says when it is time to stop; ``None``: never.
    """
    if sum(room.values()) < samples:
        return None
    queue = [(float(times[name][1]), k, name) for k, name in enumerate(room)]
    heapq.heapify(queue)
    shares: dict[str, int] = {}
    for given in range(samples):
        if search is not None and given % SAMPLES_A_LOOK == 0:
            search.tick(0)
        _, k, name = heapq.heappop(queue)
        shares[name] = shares.get(name, 0) + 1
        if shares[name] < room[name]:
            heapq.heappush(queue, (float(times[name][shares[name] + 1]), k, name))
    return shares


def _times_s(problem: Problem, name: str, samples: int) -> Floats:
    """Return (samples + 1,) seconds of forward and backward of the whole workload by number of samples."""
    device, costs = problem.cluster.by_name[name], problem.costs
    counts = np.arange(samples + 1)
    total = np.zeros(samples + 1)
    for block in problem.workload.order:
        if block in device.times(problem.workload):
            total += costs.times_s(block, device, counts).sum(axis=0)
        else:
            total += counts * sum(costs.time_s(block, device, 1))
        total[1:] += device.overhead_s.value * (1 + costs.has_backward(block))
    return total


def _room(problem: Problem, name: str, samples: int) -> int:
    """Return the most samples whose activations fit beside weights, gradients and optimizer states."""
    blocks = [problem.costs.block(block) for block in problem.workload.order]
    static = sum(
        b.weight_bytes + b.trained_bytes + problem.costs.state_bytes(b.trained_bytes) for b in blocks
    )
    kept = sum(block.kept_bytes for block in blocks)
    left = int(problem.cluster.by_name[name].memory_bytes.value) - static
    if left < 0:
        return 0
    return samples if kept * samples <= left else left // kept


def _links(problem: Problem) -> tuple[Floats, Floats]:
    """Return (D, D) seconds per byte, and latencies, between usable devices; 0 from one to itself."""
    num = len(problem.usable)
    per_byte, latency = np.zeros((num, num)), np.zeros((num, num))
    for i, source in enumerate(problem.usable):
        for j, target in enumerate(problem.usable):
            if i != j:
                link = problem.cluster.link(source, target)
                per_byte[i, j], latency[i, j] = 1 / link.bytes_per_s, link.latency_s
    return per_byte, latency


def _ring_s(problem: Problem, names: list[str], links: tuple[Floats, Floats]) -> float:
    """Return the seconds of the ring that reduces all gradients over its slowest link."""
    moved = sum(problem.costs.block(name).trained_bytes for name in problem.workload.order)
    if len(names) < 2 or not moved or not problem.settings.sync:
        return 0.0
    places = [problem.usable.index(name) for name in names]
    per_byte, latency = (float(one[np.ix_(places, places)].max()) for one in links)
    return 2 * (len(names) - 1) * (moved / len(names) * per_byte + latency)
