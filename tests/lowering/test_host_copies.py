"""Transfers through the host, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from models.cluster import Cluster
from models.errors import InputError
from models.workload import TimeProfile, Workload
from solver.batch import BatchScorer
from solver.costs import Costs
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


def test_copies_were_measured_at_the_same_batch_sizes() -> None:
    good = {"samples": [1, 3], "forward_s": [1, 2], "backward_s": [0, 0], "copy_s": [0.5, 1.5]}
    assert TimeProfile.model_validate(good).copy_s == (0.5, 1.5)
    with pytest.raises(ValidationError, match="copy_s must have the same length"):
        TimeProfile.model_validate({**good, "copy_s": [0.5]})
    with pytest.raises(ValidationError, match="times must not be negative"):
        TimeProfile.model_validate({**good, "copy_s": [0.5, -1]})


def test_a_copy_between_and_beyond_measured_batch_sizes() -> None:
    profile = {"samples": [1, 3], "forward_s": [1, 2], "backward_s": [0, 0], "copy_s": [0.5, 1.5]}
    blocks = [{"name": "a", "forward_flop": 0}]
    what = Workload.model_validate({"name": "one", "blocks": blocks, "profiles": {"acc": {"a": profile}}})
    costs, device = Costs(what, Job(kind="serve", batch=1)), cluster().by_name["acc0"]
    assert [costs.copy_s("a", device, n) for n in (0, 1, 2, 3, 6)] == [0, 0.5, 1.0, 1.5, 3.0]
    assert costs.copy_s("a", cluster().by_name["cpu0"], 1) == 0.0


def test_data_shares_copy_their_part() -> None:
    # Two samples on acc0 and acc1, one each, then both on acc0: half of a goes out of acc1 and into acc0.
    profile = {"samples": [2], "forward_s": [2], "backward_s": [0], "copy_s": [0.5]}
    blocks = [{"name": name, "forward_flop": 0} for name in "ab"]
    tables = {"acc": dict.fromkeys("ab", profile)}
    edges = [{"source": "a", "target": "b"}]
    what = Workload.model_validate({"name": "two", "blocks": blocks, "edges": edges, "profiles": tables})
    stages = [
        {"blocks": ["a"], "mode": "data", "shares": {"acc0": 1, "acc1": 1}},
        {"blocks": ["b"], "mode": "data", "shares": {"acc0": 2}},
    ]
    given = Plan.model_validate(
        {
            "workload": {"name": "two"},
            "cluster": {"name": "host"},
            "job": {"kind": "train", "batch": 2},
            "pipelines": [{"micro_batches": 1, "samples": 2, "stages": stages}],
        }
    )
    report = evaluate(given, what, cluster(), HOST)
    assert report.busy_s == {"acc0": 2 + 0.5 + 2, "acc1": 2 + 0.5, "cpu0": 0.0}
