"""Memory that the runtime itself holds, by hand."""

from __future__ import annotations

import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.batch import BatchScorer
from solver.evaluate import evaluate
from solver.job import Job
from solver.plan import Pipeline, Plan, Reference, Stage
from solver.settings import Settings

RUNTIME = Settings(runtime_bytes=1000, weight_copies=0.5)


def workload() -> Workload:
    block = {"name": "a", "forward_flop": 1, "backward_weight_flop": 1, "weight_bytes": 40}
    return Workload.model_validate({"name": "one", "blocks": [block]})


def cluster() -> Cluster:
    devices = [{"name": name, "flop_per_s": {"fp32": 1}, "memory_bytes": 1100} for name in "xy"]
    link = {"between": ["x", "y"], "bandwidth_bytes_per_s": 10}
    return Cluster.model_validate({"name": "two", "devices": devices, "links": [link]})


def test_devices_that_hold_weights_hold_the_runtime_and_copies() -> None:
    stage = Stage(blocks=("a",), shares={"x": 1})
    pipeline = Pipeline(micro_batches=1, samples=1, stages=(stage,))
    names = Reference(name="one"), Reference(name="two")
    plan = Plan(workload=names[0], cluster=names[1], job=Job(batch=1), pipelines=(pipeline,))
    plain = evaluate(plan, workload(), cluster())
    report = evaluate(plan, workload(), cluster(), RUNTIME)
    assert report.memory["x"].static.runtime_bytes == 1000 + 20
    assert report.memory["x"].peak_bytes == plain.memory["x"].peak_bytes + 1020
    assert report.memory["y"].static.runtime_bytes == 0
    assert report.to_json()["memory_bytes"]["x"]["runtime"] == 1020
    # 40 weights, 40 gradients and 1,020 fill the 1,100 bytes exactly.
    assert report.is_feasible
    fuller = Settings(runtime_bytes=1001, weight_copies=0.5)
    assert not evaluate(plan, workload(), cluster(), fuller).is_feasible


def test_batches_refuse_it() -> None:
    with pytest.raises(InputError) as error:
        BatchScorer(workload(), cluster(), Job(batch=1), num_micro_batches=1, samples=1, settings=RUNTIME)
    assert {fault.path for fault in error.value.faults} == {
        "settings.runtime_bytes",
        "settings.weight_copies",
    }
