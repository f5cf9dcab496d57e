"""Layout: boxes, largest remainders, and what each device of a group holds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.workload import Block, TensorSharding
from solver.layout import Box, Cut, apportion, holdings, intervals, union
from solver.plan import Explicit, Group, Stage

ends = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: (min(pair), max(pair)))
boxes = st.builds(Box, ends, ends, ends)


def cells(*parts: Box) -> list[tuple[int, ...]]:
    return [cell for box in parts for cell in itertools.product(*(range(*axis) for axis in box))]


def test_overlap_of_two_boxes():
    a, b = Box((0, 5), (0, 8), (0, 4)), Box((3, 8), (2, 4), (0, 8))
    assert a & b == Box((3, 5), (2, 4), (0, 4))
    assert (a & b).size == 2 * 2 * 4


def test_boxes_that_do_not_meet_overlap_in_nothing():
    assert (Box((0, 2), (0, 8), (0, 8)) & Box((2, 4), (0, 8), (0, 8))).size == 0


def test_a_box_less_its_middle():
    """Four of eight samples remain, two at each end."""
    rest = Box((0, 8), (0, 1), (0, 1)) - Box((2, 6), (0, 1), (0, 1))
    assert rest == [Box((0, 2), (0, 1), (0, 1)), Box((6, 8), (0, 1), (0, 1))]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(boxes, boxes)
def test_difference_and_overlap_cut_a_box_in_two(a: Box, b: Box):
    assert sorted(cells(a & b, *(a - b))) == sorted(cells(a))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(boxes, max_size=4))
def test_union_covers_every_cell_once(parts: list[Box]):
    covered = cells(*union(parts))
    assert len(covered) == len(set(covered))
    assert set(covered) == set(cells(*parts))


def test_union_joins_neighbours():
    halves = [Box((0, 8), (0, 4), (0, 8)), Box((0, 8), (4, 8), (0, 8))]
    assert union(halves) == [Box((0, 8), (0, 8), (0, 8))]


@pytest.mark.parametrize(
    ("weights", "total", "shares"),
    [
        ({"x": 3, "y": 1}, 8, {"x": 6, "y": 2}),
        # 7.5 and 2.5: equal remainders, the first gets the odd one.
        ({"x": 3, "y": 1}, 10, {"x": 8, "y": 2}),
        # 3.33 each: one is left over.
        ({"x": 1, "y": 1, "z": 1}, 10, {"x": 4, "y": 3, "z": 3}),
        # 0.5, 0.25, 0.25.
        ({"x": 2, "y": 1, "z": 1}, 1, {"x": 1, "y": 0, "z": 0}),
        ({"x": 0, "y": 0}, 5, {"x": 5, "y": 0}),
        ({"x": 0.1, "y": 0.2}, 3, {"x": 1, "y": 2}),
    ],
)
def test_largest_remainder(weights: dict[str, float], total: int, shares: dict[str, int]):
    assert apportion(weights, total) == shares


def test_shares_side_by_side():
    assert intervals({"x": 5, "y": 3}, 2) == {"x": (2, 7), "y": (7, 10)}


def test_cut_of_another_dimension_follows_in_proportion():
    """Heads 3:1 cut 4 heads as given and 8 columns as 6:2."""
    cut = Cut(1, (3, 1))
    assert cut.of(4) == (3, 4)
    assert cut.of(8) == (6, 8)


def stage(mode: str, shares: object) -> Stage:
    return Stage.model_validate({"blocks": ["a"], "mode": mode, "shares": shares})


def test_data_shares_are_intervals_of_samples():
    held = holdings(stage("data", {"x": 5, "y": 3}), 8, 8)
    assert {name: h.samples for name, h in held.items()} == {"x": (0, 5), "y": (5, 8)}


def test_a_micro_batch_of_another_size_is_shared_out_in_proportion():
    held = holdings(stage("data", {"x": 5, "y": 3}), 4, 8)
    # 2.5 and 1.5.
    assert {name: h.samples for name, h in held.items()} == {"x": (0, 3), "y": (3, 4)}


def test_group_inside_data():
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 1, "y": 1}}
    held = holdings(stage("data", {"pair": pair, "z": 3}), 8, 8)
    assert {name: (h.samples, h.cells, h.mode) for name, h in held.items()} == {
        "x": ((0, 5), ("x", "y"), "tensor"),
        "y": ((0, 5), ("x", "y"), "tensor"),
        "z": ((5, 8), ("z",), "data"),
    }


def test_data_inside_data():
    inner = Group(samples=5, mode="data", shares={"x": 4, "y": 1})
    held = holdings(Stage(blocks=("a",), shares={"room": inner, "z": 3}), 16, 8)
    assert {name: h.samples for name, h in held.items()} == {"x": (0, 8), "y": (8, 10), "z": (10, 16)}


def test_explicit_tables_decide_each_dimension():
    heads = Block(name="h", forward_flop=1, tensor=TensorSharding(heads=4, weight_bytes=4))
    columns = Block(name="c", forward_flop=1, tensor=TensorSharding(columns=10, weight_bytes=4))
    shares = Explicit(heads={"x": 3, "y": 1}, columns={"x": 2, "y": 8})
    held = holdings(Stage(blocks=("a",), mode="tensor", shares=shares), 8, 8)
    assert held["x"].tensor_part(heads) == Fraction(3, 4)
    assert held["x"].tensor_part(columns) == Fraction(1, 5)
    assert held["y"].tensor_interval(columns) == (Fraction(1, 5), 1)


def test_block_without_the_dimension_is_whole():
    plain = Block(name="p", forward_flop=1, tokens=4, columns=6)
    tensor = holdings(stage("tensor", {"x": 3, "y": 1}), 8, 8)["y"]
    tokens = holdings(stage("sequence", {"x": 3, "y": 1}), 8, 8)["y"]
    assert tensor.tensor_part(plain) == tokens.token_part(plain) == 1
    assert tensor.output_box(plain, (0, 8)) == tokens.output_box(plain, (0, 8)) == Box((0, 8), (0, 4), (0, 6))


def test_samples_a_block_does_not_compute_are_held_by_nobody():
    plain = Block(name="p", forward_flop=1)
    held = holdings(stage("data", {"x": 5, "y": 3}), 8, 8)
    assert held["x"].output_box(plain, (0, 6)).samples == (0, 5)
    assert held["y"].output_box(plain, (0, 6)).samples == (5, 6)
    assert held["y"].output_box(plain, (0, 3)).size == 0
