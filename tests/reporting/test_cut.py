from solver.plan import Group, Stage
from solver.reporting.cut import cells, parts, roles, stage_words
from solver.reporting.svg_dag import places
from tests.reporting.cases import example, towers


def test_parts_of_a_nested_group_multiply() -> None:
    group = Group(samples=6, mode="tensor", shares={"b": 1, "c": 2})
    found = parts(Stage(blocks=("x",), shares={"a": 2, "g": group}))
    assert [(p.device, p.part, p.words) for p in found] == [
        ("a", 0.25, "2 samples"),
        ("b", 0.25, "6 samples, 1 head"),
        ("c", 0.5, "6 samples, 2 heads"),
    ]


def test_parts_of_a_routed_service_are_its_weights() -> None:
    stage = Stage(blocks=("x",), shares={"a": 1, "b": 1}, routing={"a": 3.0, "b": 1.0})
    assert [(p.device, p.part) for p in parts(stage)] == [("a", 0.75), ("b", 0.25)]
    assert stage_words(stage) == "routed"


def test_a_block_says_its_costs_and_its_devices() -> None:
    plan, workload, _, _ = example()
    told = cells(plan, plan.pipelines[0], workload)["tiny.block1"].told
    assert "dev0: 5 samples; dev1: 3 samples" in told
    assert "forward 1.00 Gflop, backward 2.00 Gflop a sample" in told
    assert "weights 1.00 MB, trained" in told


def test_roles() -> None:
    plan, _, _, _ = example()
    assert roles(plan) == {"dev0": "stage 0 (5 samples)", "dev1": "stage 0 (3 samples)", "dev2": "stage 1"}


def test_towers_get_a_row_each() -> None:
    assert places(towers()) == {"a0": (0, 0), "a1": (1, 0), "b0": (0, 1), "b1": (1, 1), "trunk": (2, 0)}
