"""Random chains under deadlines on boards with power modes, and brute force that knows no solver."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np

from experiments.figures._chains import network
from models.cluster import Cluster
from models.workload import Workload
from solver.batch import PackedPlans
from solver.evaluate import judge
from solver.job import Job
from solver.plan import DeviceChoice, Plan, pipeline_plan
from solver.problem import LeftOut, Problem
from solver.search.batch_figures import scorer_of

NUM_DEVICES, NUM_BLOCKS, BATCH = 4, 8, 8
LOOSENESS = (0.7, 1.0, 1.15, 1.4, 2.0, 4.0, None)
"""Deadlines over the least step time of single boards: from impossible to loose, and none."""


def random_problem(seed: int, num_devices: int = NUM_DEVICES, num_blocks: int = NUM_BLOCKS) -> Problem:
    """Unequal blocks on boards of three power modes; links, memory, deadline and left-out devices vary."""
    rng = np.random.default_rng(seed)
    workload, total = _chain(rng, num_blocks)
    room = total * float(rng.choice([2.0, 2.0, 0.7]))
    boards = [_board(rng, f"d{i}", room) for i in range(num_devices)]
    cluster = Cluster.model_validate({"name": "c", "devices": boards, **network(rng, num_devices)})
    left_out: LeftOut = ("idle", "sleep", "off")[int(rng.integers(3))]
    problem = Problem(
        workload,
        cluster,
        Job(batch=BATCH, optimizer="adamw" if rng.random() < 0.3 else "sgd"),
        objective="energy",
        schedule="gpipe" if rng.random() < 0.2 else "1f1b",
        left_out=left_out,
        power_modes="free",
    )
    looseness = LOOSENESS[int(rng.integers(len(LOOSENESS)))]
    if looseness is None:
        return problem
    fastest = max(board["flop_per_s"]["fp32"] for board in boards)
    flop = sum(b.forward_flop + b.backward_input_flop + b.backward_weight_flop for b in workload.blocks)
    deadline_s = looseness * BATCH * flop / fastest / float(rng.uniform(1, 2.5))
    return replace(problem, job=problem.job.model_copy(update={"deadline_s": deadline_s}))


def _chain(rng: np.random.Generator, num_blocks: int) -> tuple[Workload, float]:
    """Return a chain, and about the bytes that it takes in training."""
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_input_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_weight_flop": float(rng.integers(1, 100)) * 1e6,
            "weight_bytes": int(rng.integers(1, 50)) * 20_000,
            "kept_bytes": int(rng.integers(1, 50)) * 10_000,
            "output_bytes": int(rng.integers(1, 50)) * 10_000,
        }
        for i in range(num_blocks)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    workload = Workload.model_validate({"name": "w", "blocks": blocks, "edges": edges})
    return workload, float(sum(2 * b["weight_bytes"] + BATCH * b["kept_bytes"] for b in blocks))


def _board(rng: np.random.Generator, name: str, room: float) -> dict[str, object]:
    """Own numbers and two slower modes of less power, in one of which waiting costs less too."""
    speed, idle_w = float(rng.integers(10, 100)) * 1e8, float(rng.uniform(0.5, 4))
    busy_w = idle_w + float(rng.uniform(1, 10))
    modes = {}
    for word, part in (("mid", float(rng.uniform(0.6, 0.9))), ("low", float(rng.uniform(0.3, 0.6)))):
        waiting_w = idle_w * float(rng.uniform(0.6, 1)) if word == "low" else idle_w
        computing_w = waiting_w + (busy_w - idle_w) * part ** float(rng.uniform(0.7, 2.5))
        modes[word] = {
            "flop_per_s": {"fp32": speed * part},
            "busy_w": computing_w,
            "idle_w": waiting_w,
            "memory_bytes_per_s": 2e9 * part,
        }
    return {
        "name": name,
        "flop_per_s": {"fp32": speed},
        "memory_bytes": room * float(rng.uniform(0.6, 1.4)),
        "memory_bytes_per_s": 2e9,
        "idle_w": idle_w,
        "busy_w": busy_w,
        "sleep_w": 0.2 * idle_w,
        "radio_w": float(rng.uniform(0, 1.5)),
        "overhead_s": float(rng.choice([0.0, 1e-3])),
        "power_modes": modes,
    }


def exhaustive(problem: Problem) -> tuple[float, Plan | None]:
    """Return the least energy of all chains in all modes that keep the limits, and a plan that has it.

    Every choice of a mode for every board is a family of its own; the figures are the evaluator's, and the
    best plan is judged by it.
    """
    best, plan = np.inf, None
    names = [device.name for device in problem.cluster.devices]
    modes = [[None, *device.power_modes] for device in problem.cluster.devices]
    for count in problem.micro_batch_counts:
        packed = _chains(problem, count)
        for chosen in product(*modes):
            devices = {n: DeviceChoice(power_mode=m) for n, m in zip(names, chosen, strict=True) if m}
            scorer = scorer_of(problem, count, devices=devices)
            scores = scorer.score(packed, energy=True)
            fine = scores.memory_ok & (scores.step_time_s <= (problem.job.deadline_s or np.inf))
            joules = np.where(fine, scores.energy_j, np.inf)
            least = int(joules.argmin())
            if joules[least] < best:
                made = pipeline_plan(problem, scorer.stages(packed, least), count)
                best, plan = float(joules[least]), made.model_copy(update={"devices": devices})
    if plan is not None:
        report, score = judge(problem, plan)
        assert report.is_feasible and abs(score - best) <= 1e-9 * best
    return best, plan


def _chains(problem: Problem, count: int) -> PackedPlans:
    """Return all chains of one device a stage, over any of the devices in any order."""
    num_blocks, num_devices = len(problem.workload.order), len(problem.cluster.devices)
    most = min(num_blocks, num_devices)
    plans = [
        (cuts, devices)
        for num in range(1, most + 1)
        for cuts in combinations(range(1, num_blocks), num - 1)
        for devices in permutations(range(num_devices), num)
    ]
    ends = np.zeros((len(plans), most), np.int64)
    shares = np.zeros((len(plans), most, num_devices), np.int64)
    for i, (cuts, devices) in enumerate(plans):
        ends[i, : len(devices)] = [*cuts, num_blocks]
        shares[i, range(len(devices)), devices] = problem.job.batch // count
    return PackedPlans(np.array([len(devices) for _, devices in plans]), ends, shares)
