"""Packed moves: every point stays a sound plan, all kinds of plans are reached, and numbers decide alone."""

from __future__ import annotations

import numpy as np
import pytest

from solver.check import check
from solver.problem import Problem
from solver.search.packed.fill import Rule, balance, make_rule, most_stages, random_points, share_out
from solver.search.packed.moves import change, change_all
from solver.search.packed.points import Points, empty, from_plan, to_plan
from tests.algorithms.cases import chain, cluster, placed, problem

BOARDS = cluster({"x": 1, "y": 2, "z": 4})
COUNTS = (1, 2, 4)


def free(**words: object) -> Problem:
    words.setdefault("in_flight", "free")
    return problem(chain(5), BOARDS, batch=8, num_micro_batches=None, **words)


def wandering(what: Problem, steps: int, size: int = 40) -> list[Points]:
    rng = np.random.default_rng(0)
    rule = make_rule(what, COUNTS)
    points = random_points(rule, size, most_stages(what), rng)
    seen = [points.copy()]
    for _ in range(steps):
        change(points, rule, rng)
        seen.append(points.copy())
    return seen


def point(stage_of: list[int], ends: list[int], samples: list[int]) -> Points:
    found = empty(1, 3, 3)
    found.num_stages[0] = len(ends)
    found.ends[0, : len(ends)] = ends
    found.stage_of[0], found.samples[0] = stage_of, samples
    return found


def test_every_point_is_a_sound_plan_and_comes_back_from_it() -> None:
    what = free()
    for points in wandering(what, 30):
        for b in range(0, len(points.choice), 7):
            plan = to_plan(what, points, b, COUNTS)
            check(plan, what.workload, what.cluster)
            back = from_plan(what, plan, COUNTS, 3)
            assert back is not None and to_plan(what, back, 0, COUNTS) == plan


def test_all_kinds_of_plans_are_reached() -> None:
    seen = wandering(free(), 60)
    assert {n for points in seen for n in points.num_stages.tolist()} == {1, 2, 3}
    assert {c for points in seen for c in points.choice.tolist()} == {0, 1, 2}
    assert {p for points in seen for p in points.pattern.tolist()} == {0, 1, 2, 3, 4}
    sizes = {int((points.stage_of[b] == 0).sum()) for points in seen for b in range(40)}
    assert sizes == {1, 2, 3}
    assert any((points.stage_of == -1).any() for points in seen)


def test_caps_stay_the_schedules_own_unless_they_are_free() -> None:
    assert not any(points.caps.any() for points in wandering(free(in_flight="default"), 30))


@pytest.mark.parametrize(
    ("samples", "shares"),
    # Speeds 1, 2, 4: seven samples in proportion; eight leave the eighth to whom it delays least (1/4 a
    # sample: z ends at 5/4, y would at 3/2); of one sample all goes to z, and x and y leave the plan.
    [(7, [1, 2, 4]), (8, [1, 2, 5]), (1, [0, 0, 1])],
)
def test_shares_follow_speed(samples: int, shares: list[int]) -> None:
    rule = make_rule(problem(chain(2), BOARDS, batch=samples), (1,))
    found = point([0, 0, 0], [2], [0, 0, 0])
    share_out(found, 0, 0, rule, 0)
    assert found.samples[0].tolist() == shares
    assert (found.stage_of[0] >= 0).tolist() == [n > 0 for n in shares]


def test_cuts_follow_speed() -> None:
    """Six equal blocks for x and y (speed 3 together) and z (4): 18/7 blocks before the cut, so 3 and 3."""
    rule = make_rule(problem(chain(6), BOARDS, batch=8), (1,))
    found = point([0, 0, 1], [1, 6], [3, 5, 8])
    balance(found, 0, rule, 0)
    assert found.ends[0, :2].tolist() == [3, 6]


def drawn(kind: int, *numbers: float) -> np.ndarray:
    """Random numbers that draw a kind of move, no balance after it, and what the move picks; by speed."""
    rest = [*numbers, *([0.9] * 4)][:4]
    return np.array([[[ALL.drawn[kind] - 1e-6, *rest, 0.99, 0.0]]])


ALL: Rule = make_rule(problem(chain(4), BOARDS, batch=7, num_micro_batches=1), (1,))


@pytest.mark.parametrize(
    ("numbers", "after"),
    [
        # shift: the first cut, by one, up
        (drawn(0, 0.0, 0.5, 0.1, 0.1), [("abc", "x+y"), ("d", "z")]),
        # move: x out of the plan
        (drawn(1, 0.0, 0.0), [("ab", "y"), ("cd", "z")]),
        # swap: x and z
        (drawn(2, 0.0, 0.9), [("ab", "y+z"), ("cd", "x")]),
        # split: x and y part over a and b
        (drawn(3, 0.0, 0.6, 0.0, 0.0), None),
        # merge: all devices stay
        (drawn(4, 0.0, 0.9), [("abcd", "x+y+z")]),
        # exchange the groups of both stages
        (drawn(6, 0.0, 0.9), [("ab", "z"), ("cd", "x+y")]),
    ],
)
def test_a_move_does_what_it_says(numbers: np.ndarray, after: list[tuple[str, str]] | None) -> None:
    what = problem(chain(4), BOARDS, batch=7, num_micro_batches=1)
    found = point([0, 0, 1], [2, 4], [2, 5, 7])
    change_all(found, numbers, ALL)
    plan = to_plan(what, found, 0, (1,))
    check(plan, what.workload, what.cluster)
    if after is None:
        assert [blocks for blocks, _ in placed(plan)] == ["a", "b", "cd"]
    else:
        assert placed(plan) == after


def test_samples_move_between_members() -> None:
    found = point([0, 0, 1], [2, 4], [2, 5, 7])
    change_all(found, drawn(5, 0.0, 0.0, 0.0, 0.1), ALL)
    assert found.samples[0].tolist() == [1, 6, 7]


def test_serving_has_groups_of_one_device() -> None:
    what = problem(chain(4), BOARDS, batch=4)
    serves = Problem(what.workload, what.cluster, what.job.model_copy(update={"kind": "serve"}), "latency")
    rule, rng = make_rule(serves, (1, 2, 4)), np.random.default_rng(0)
    points = random_points(rule, 50, most_stages(serves), rng)
    for _ in range(30):
        change(points, rule, rng)
        for s in range(3):
            assert ((points.stage_of == s).sum(axis=1) <= 1).all()


def test_the_compiled_moves_are_the_plain_ones() -> None:
    import solver.search.packed.moves as moves

    what, rng = free(), np.random.default_rng(5)
    rule = make_rule(what, COUNTS)
    points = random_points(rule, 60, 3, rng)
    draws = rng.random((60, 3, 7))
    plain, fast = points.copy(), points.copy()
    change_all(fast, draws, rule)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in dir(moves) if hasattr(getattr(moves, name), "py_func")]:
            patch.setattr(moves, name, getattr(moves, name).py_func)
        moves.change_all(plain, draws, rule)
    assert all((a == b).all() for a, b in zip(plain, fast, strict=True))
