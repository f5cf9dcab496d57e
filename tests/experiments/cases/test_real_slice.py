"""Real slices: rows say what was predicted and what the run found."""

from __future__ import annotations

from experiments.cases.real_slice import real_slice
from experiments.figures._runs import CLUSTER, WORKLOAD, plans
from models import catalog
from solver.evaluate import evaluate


def test_a_row_has_predicted_and_measured_time_and_energy() -> None:
    workload, cluster = catalog.workload(WORKLOAD), catalog.cluster(CLUSTER)
    plan = plans("sgd", "fp32")["pipeline"]
    (row,) = real_slice({"pipeline": plan}, workload, cluster, steps=2)
    report = evaluate(plan, workload, cluster)
    assert row["plan"] == "pipeline"
    assert (row["predicted_step_s"], row["predicted_energy_j"]) == (report.step_time_s, report.energy_j)
    own = {key for key in row if not key.startswith("measured_")}
    assert own == {"plan", "predicted_step_s", "predicted_energy_j"}
    # No step is shorter than the emulated boards take, up to the start that all workers agree on.
    assert row["measured_step_s"] > 0.99 * report.step_time_s
    assert row["measured_energy_j"] > 0.99 * report.energy_j
