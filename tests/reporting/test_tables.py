from rich.console import Console
from rich.table import Table

from solver.evaluate import evaluate
from solver.plan import Stage
from solver.reporting import tables
from tests.reporting.cases import cluster, example, measured, plan, workload


def shown(table: Table) -> str:
    console = Console(width=180, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_plan_table() -> None:
    made, _, _, _ = example()
    text = shown(tables.plan_table(made))
    assert "2: tiny.block0 … tiny.block1" in text
    assert "dev0 5 samples, dev1 3 samples" in text
    assert "4 micro-batches of 8" in text


def test_device_table_marks_estimates() -> None:
    made, _, where, report = example()
    text = shown(tables.device_table(made, where, report, measured(report)))
    assert "dev0 ~" in text and "~ rests on estimates" in text
    assert "energy (modelled)" in text and "stage 0 (5 samples)" in text


def test_headline_shows_predicted_beside_measured() -> None:
    _, _, _, report = example()
    text = shown(tables.headline_table(report, measured(report, overruns=2)))
    assert "+2.2 %" in text or "+2.3 %" in text
    assert "exact" in text and "Overruns" in text and "2.0e-07" in text


def test_raw_runs_state_no_difference_in_time() -> None:
    _, _, _, report = example()
    line = next(
        x
        for x in shown(tables.headline_table(report, measured(report, mode="raw"))).splitlines()
        if "Step time" in x
    )
    assert "raw mode" in line and "+" not in line


def test_comparison_names_the_best_and_the_infeasible() -> None:
    what, where = workload(), cluster(memory_bytes=6e6)
    one = evaluate(plan(what, where, [Stage(blocks=what.order, shares={"dev2": 8})]), what, where)
    _, _, _, two = example()
    text = shown(tables.comparison_table({"all on one": one, "hybrid": two}))
    assert "1 broken" in text and "kept" in text
    assert "×" in text and "step time" in text


def test_violation_table_keeps_brackets() -> None:
    what, where = workload(name="[bold]x"), cluster(memory_bytes=1e6)
    made = plan(what, where, [Stage(blocks=what.order, shares={"dev0": 8})])
    assert "memory" in shown(tables.violation_table(evaluate(made, what, where)))
    assert "[bold]x.block0" in shown(tables.plan_table(made))
