"""A quick bound for hybrid pipelines of any size: all work on all devices at once, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from solver.accounts import J_PER_KWH
from solver.problem import Problem
from solver.program import Floats


def sample_seconds(problem: Problem, samples: int) -> Floats:
    """Return (D, L): least seconds a sample of a block takes on a usable device, both passes.

    Parameters
    ----------
    problem, samples
        What is decided, and samples of a micro-batch.

    Notes
    -----
    The overhead of an operation is shared by as many samples as there are; measured profiles are asked for
    every number of samples.
    """
    costs, workload = problem.costs, problem.workload
    found = np.empty((len(problem.usable), len(workload.order)))
    for d, name in enumerate(problem.usable):
        device = problem.cluster.by_name[name]
        profiled = device.times(workload)
        for k, block in enumerate(workload.order):
            passes = 1 + costs.has_backward(block)
            extra = passes * device.overhead_s.value
            if block in profiled:
                found[d, k] = min(
                    (sum(costs.time_s(block, device, n)[:passes]) + extra) / n for n in range(1, samples + 1)
                )
            else:
                found[d, k] = sum(costs.time_s(block, device, 1)[:passes]) + extra / samples
    return found


def quick_bounds(problem: Problem, num_micro_batches: int) -> dict[str, float]:
    """Return lower bounds by objective: time, bottleneck, energy and carbon; 0 bytes of any kind.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided.

    Notes
    -----
    With weights w of blocks and a[d, k] the seconds of a sample of block k on device d, a device that is busy
    for c seconds per micro-batch of N samples does at most c max_k(w_k / (N a[d, k])) of the weighted work.
    So the busiest is busy for sum_k(w_k) / sum_d max_k(w_k / (N a[d, k])). A step takes M times that. Every
    device draws at least the lesser of its idle power and its power when left out for so long; who takes part
    also draws the difference to its idle power while it computes, and the extra power of computing. So the
    energy is at least the first, and every block where the second costs least; grams weigh the joules of each
    device. O(D L).
    """
    samples = problem.job.batch // num_micro_batches
    seconds = sample_seconds(problem, samples)
    weights = seconds.mean(axis=0)
    counted = weights > 0
    bottleneck = 0.0
    if counted.any() and (seconds[:, counted] > 0).all():
        speeds = (weights[counted] / (samples * seconds[:, counted])).max(axis=1)
        bottleneck = float(weights.sum() / speeds.sum())
    time = num_micro_batches * bottleneck
    keep = 1 - 1e-9
    boards = problem.cluster.devices
    known = {d.name: 0.0 if d.carbon_g_per_kwh is None else d.carbon_g_per_kwh.value for d in boards}
    grams_per_j = {name: value / J_PER_KWH for name, value in known.items()}
    return {
        "time": time * keep,
        "bottleneck": bottleneck * keep,
        "energy": _least(problem, time, seconds, dict.fromkeys(known, 1.0)) * keep,
        "carbon": _least(problem, time, seconds, grams_per_j) * keep,
        "traffic": 0.0,
        "untrusted": 0.0,
    }


def _least(problem: Problem, time_s: float, seconds: Floats, worth: Mapping[str, float]) -> float:
    """Return the least energy of a step of so many seconds, joules of each device times their worth."""
    least_w = {
        device.name: min(device.idle_w.value, device.left_out_w(problem.left_out))
        for device in problem.cluster.devices
    }
    extra_w = np.array(
        [problem.cluster.by_name[name].busy_w.value - least_w[name] for name in problem.usable]
    )
    extra_w *= [worth[name] for name in problem.usable]
    waiting = time_s * sum(worth[name] * watts for name, watts in least_w.items())
    return waiting + problem.job.batch * float((seconds * extra_w[:, None]).min(axis=0).sum())
