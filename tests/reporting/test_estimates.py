import pytest

from models import catalog
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.reporting.estimates import estimates_used
from tests.reporting.cases import cluster, plan, workload


def test_figures_of_devices_in_use_with_their_reasoning() -> None:
    what, where = workload(), cluster()
    found = estimates_used(plan(what, where, [Stage(blocks=what.order, shares={"dev1": 8})]), where)
    assert [(e.devices, e.figure, e.value, e.unit, e.reasoning) for e in found] == [
        (("dev1",), "flop_per_s.fp32", 2e10, "flop/s", "a third of the peak")
    ]


def test_other_precisions_and_power_modes_are_left_out() -> None:
    what, where = workload(), catalog.cluster("four_boards")
    found = estimates_used(plan(what, where, [Stage(blocks=what.order, shares={"nano0": 8})]), where)
    figures = {e.figure for e in found if "nano0" in e.devices}
    assert "flop_per_s.fp32" in figures
    assert not {f for f in figures if "power_modes" in f or "fp16" in f}
    assert {e.figure for e in found if "nx" in e.devices} <= {"idle_w"}


@pytest.mark.parametrize(
    ("left_out", "figures"), [("idle", {"battery_j", "carbon_g_per_kwh"}), ("off", set())]
)
def test_batteries_and_supplies_of_left_out_devices_count_unless_they_are_off(
    left_out: str, figures: set[str]
) -> None:
    problem = Problem(
        catalog.workload("vit_digits"), catalog.cluster("neighbours"), Job(batch=4), left_out=left_out
    )
    plan = pipeline_plan(problem, [Stage(blocks=problem.workload.order, shares={"laptop": 4})], 1)
    used = {e.figure: e for e in estimates_used(plan, problem.cluster) if "nano" in e.devices}
    assert used.keys() & {"battery_j", "carbon_g_per_kwh"} == figures
    if figures:
        assert (used["battery_j"].value, used["battery_j"].unit) == (180e3, "J")
