"""Figures in words: predicted beside measured, in the same unit."""

from __future__ import annotations

from solver.evaluate import evaluate
from solver.plan import Sync
from solver.reporting.figures import headline
from solver.reporting.measured import Measured
from tests.reporting.cases import example


def test_a_round_that_took_what_was_predicted_shows_no_difference() -> None:
    plan, workload, cluster, _ = example()
    rounds = plan.model_copy(update={"sync": Sync(every=4, topology="star", server=cluster.devices[0].name)})
    report = evaluate(rounds, workload, cluster)
    assert report.program.num_steps == 4
    run = Measured(mode="padded", step_times_s=(report.step_time_s,) * 3)
    figures = {figure.name: figure for figure in headline(report, run)}
    for name in ("Step time", "Throughput"):
        assert figures[name].predicted == figures[name].measured
        assert figures[name].difference == "+0.0 %"
    assert "over 3 rounds" in figures["Step time"].note
