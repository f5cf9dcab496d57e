"""Transfers through the host, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.batch import BatchScorer
from solver.evaluate import evaluate
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings
from solver.split import split_plan

HOST = Settings(overlap=False, sync=False, transfers="host", memory="weights")


def workload(edges: str, copies: dict[str, float]) -> Workload:
    """Blocks of 1 s on kind acc and 4 s on kind cpu; the copies of an output last so long on acc."""
    names = sorted(set(edges.replace(" ", "")))
    acc = {
        n: {"samples": [1], "forward_s": [1], "backward_s": [0], "copy_s": [copies.get(n, 0)]} for n in names
    }
    cpu = {n: {"samples": [1], "forward_s": [4], "backward_s": [0]} for n in names}
    return Workload.model_validate(
        {
            "name": "dag",
            "blocks": [
                {"name": n, "forward_flop": 0, "weight_bytes": 10, "output_bytes": 1000} for n in names
            ],
            "edges": [{"source": pair[0], "target": pair[1]} for pair in edges.split()],
            "profiles": {"acc": acc, "cpu": cpu},
        }
    )


def cluster() -> Cluster:
    devices: list[dict[str, Any]] = [
        {"name": name, "kind": name[:3], "flop_per_s": {"fp32": 1}, "memory_bytes": 25}
        for name in ("acc0", "acc1", "cpu0")
    ]
    bus = {"name": "bus", "members": ["acc0", "acc1", "cpu0"], "bandwidth_bytes_per_s": 1}
    return Cluster.model_validate({"name": "host", "devices": devices, "segments": [bus]})


def plan(what: Workload, placed: str) -> tuple[Problem, Plan]:
    problem = Problem(what, cluster(), Job(kind="serve", batch=1), num_micro_batches=1, settings=HOST)
    pairs = [word.split(":") for word in placed.split()]
    return problem, split_plan(problem, {name: device for names, device in pairs for name in names})


def busy(what: Workload, placed: str) -> tuple[dict[str, float], float]:
    problem, made = plan(what, placed)
    report = evaluate(made, what, problem.cluster, HOST)
    assert report.bottleneck_s == pytest.approx(max(report.busy_s.values()))
    return report.busy_s, report.latencies_s[0]


def test_an_output_goes_out_once_and_in_once_per_device() -> None:
    # a goes out of acc0 once (0.5) and into acc1 once, for b and for c: 1 + 0.5 and 0.5 + 2.
    seconds, latency = busy(workload("ab ac", {"a": 0.5}), "a:acc0 bc:acc1")
    assert seconds == {"acc0": 1.5, "acc1": 2.5, "cpu0": 0.0} and latency == 4.0


def test_processors_copy_free_of_charge() -> None:
    # a -> b: out 0.5 on acc0, nothing on cpu0; b -> c: in as long as an accelerator takes for b, 0.25.
    seconds, latency = busy(workload("ab bc", {"a": 0.5, "b": 0.25}), "a:acc0 b:cpu0 c:acc1")
    assert seconds == {"acc0": 1.5, "acc1": 1.25, "cpu0": 4.0} and latency == 1.5 + 4 + 1.25


def test_several_stages_of_a_device_bring_an_output_in_once() -> None:
    # a is needed by b and d on acc1, which are two stages because c lies between them: the first one pays.
    problem, made = plan(workload("ab bc cd ad", {"a": 0.5, "b": 0.125, "c": 0.25}), "ac:acc0 bd:acc1")
    report = evaluate(made, problem.workload, problem.cluster, HOST)
    lasts = {row.blocks: row.duration_s for row in report.program.rows if row.blocks}
    assert lasts == {
        ("a",): 1 + 0.5,
        ("b",): 0.5 + 1 + 0.125,
        ("c",): 0.125 + 1 + 0.25,
        ("d",): 0.25 + 1,
    }


def test_messages_carry_bytes_and_take_no_time() -> None:
    problem, made = plan(workload("ab", {}), "a:acc0 b:acc1")
    report = evaluate(made, problem.workload, problem.cluster, HOST)
    assert report.traffic == {("acc0", "acc1"): 1000} and report.step_time_s == 2.0


def test_memory_is_that_of_weights_alone() -> None:
    problem, made = plan(workload("ab bc", {}), "ab:acc0 c:acc1")
    report = evaluate(made, problem.workload, problem.cluster, HOST)
    assert {n: m.peak_bytes for n, m in report.memory.items()} == {"acc0": 20, "acc1": 10, "cpu0": 0}
    everything = evaluate(made, problem.workload, problem.cluster, Settings(overlap=False, transfers="host"))
    assert everything.memory["acc0"].peak_bytes > 1000 and not everything.is_feasible


def test_batches_refuse_both_rules() -> None:
    problem, _ = plan(workload("ab", {}), "a:acc0 b:acc1")
    with pytest.raises(InputError) as error:
        BatchScorer(
            problem.workload, problem.cluster, Job(batch=1), num_micro_batches=1, samples=1, settings=HOST
        )
    assert {"settings.transfers", "settings.memory"} <= {fault.path for fault in error.value.faults}
