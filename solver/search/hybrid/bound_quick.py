"""A quick bound for hybrid pipelines of any size: all work on all devices at once, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.cluster import Device
from solver.accounts import J_PER_KWH
from solver.power_modes import modes_of
from solver.problem import Problem
from solver.program import Floats

Names = NDArray[np.str_]


def sample_seconds(problem: Problem, samples: int, boards: Sequence[Device]) -> Floats:
    """Return (D, L): least seconds a sample of a block takes on a board, both passes.

    Parameters
    ----------
    problem, samples, boards
        What is decided, samples of a micro-batch, and D boards, each in a power mode.

    Notes
    -----
    The overhead of an operation is shared by as many samples as there are; measured profiles are asked for
    every number of samples.
    """
    costs, workload = problem.costs, problem.workload
    found = np.empty((len(boards), len(workload.order)))
    for d, device in enumerate(boards):
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
    device. Where power modes are free a device is in any of them: its fastest for each block, and the one
    that draws least. O(D L).
    """
    samples = problem.job.batch // num_micro_batches
    boards = [board for name in problem.usable for board in _in_all_modes(problem, name)]
    seconds = sample_seconds(problem, samples, boards)
    weights = seconds.mean(axis=0)
    counted = weights > 0
    bottleneck = 0.0
    if counted.any() and (seconds[:, counted] > 0).all():
        of_board = (weights[counted] / (samples * seconds[:, counted])).max(axis=1)
        speeds = _largest(np.array([board.name for board in boards]), of_board)
        bottleneck = float(weights.sum() / speeds.sum())
    time = num_micro_batches * bottleneck
    keep = 1 - 1e-9
    devices = problem.cluster.devices
    known = {d.name: 0.0 if d.carbon_g_per_kwh is None else d.carbon_g_per_kwh.value for d in devices}
    grams_per_j = {name: value / J_PER_KWH for name, value in known.items()}
    return {
        "time": time * keep,
        "bottleneck": bottleneck * keep,
        "energy": _least(problem, time, (boards, seconds), dict.fromkeys(known, 1.0)) * keep,
        "carbon": _least(problem, time, (boards, seconds), grams_per_j) * keep,
        "traffic": 0.0,
        "untrusted": 0.0,
    }


def least_watts(problem: Problem) -> dict[str, float]:
    """Return what every device of the cluster draws at least, in a stage or in none.

    Parameters
    ----------
    problem
        What is decided.
    """
    found = {}
    for device in problem.cluster.devices:
        modes = _in_all_modes(problem, device.name)
        watts = ((board.idle_w.value, board.left_out_w(problem.left_out)) for board in modes)
        found[device.name] = min(min(pair) for pair in watts)
    return found


def _in_all_modes(problem: Problem, name: str) -> list[Device]:
    device = problem.cluster.by_name[name]
    return [device.in_mode(mode) for mode in modes_of(problem, device)]


def _largest(names: Names, values: Floats) -> Floats:
    """Return the largest value of each name, in the order in which names come first."""
    first = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    largest: Floats = np.maximum.reduceat(values, first)
    return largest


def _least(
    problem: Problem, time_s: float, rows: tuple[Sequence[Device], Floats], worth: Mapping[str, float]
) -> float:
    """Return the least energy of a step of so many seconds, joules of each device times their worth."""
    least_w = least_watts(problem)
    boards, seconds = rows
    extra_w = np.array([worth[board.name] * (board.busy_w.value - least_w[board.name]) for board in boards])
    waiting = time_s * sum(worth[name] * watts for name, watts in least_w.items())
    return waiting + problem.job.batch * float((seconds * extra_w[:, None]).min(axis=0).sum())
