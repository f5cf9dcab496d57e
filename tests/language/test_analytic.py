"""The walk against Asteroid's round latency and DAPPLE's recursion, which share no code with it.

Where all stages take the same time with F <= B, on a device each, and no transfer takes longer than a forward
(T <= F), the three agree to the last digit, for any number of micro-batches from the number of stages on.

Behind slower links they differ for two reasons. The formulas see a transfer as one step for both directions,
the walk has a lane for each: with two stages, and while a longer pipeline fills and drains, it is faster. And
the walk serves every lane strictly in the order of the Program: with many micro-batches and three or more
stages it loses a little.
"""

from __future__ import annotations

import random

import pytest

from tests.language.analytic import asteroid_s, dapple_s
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload


def walked_s(forward: list[float], backward: list[float], transfer: list[float], num: int) -> float:
    """Step time of a chain of stages; transfers take as many seconds as their bytes."""
    count = len(forward)
    sizes = [*transfer, 0]
    tiny = workload(*(block(f"b{p}", forward[p], backward[p], output_bytes=sizes[p]) for p in range(count)))
    stages = [stage(f"b{p}", {f"d{p}": 1}) for p in range(count)]
    boards = cluster(*(f"d{p}" for p in range(count)))
    return score(plan(pipeline(num, 1, *stages)), tiny, boards).step_time_s


def steps(per_stage: list[float], transfer: list[float]) -> list[float]:
    """Times of executions with those of the transfers between."""
    found = [per_stage[0]]
    for p, seconds in enumerate(transfer):
        found += [seconds, per_stage[p + 1]]
    return found


def formulas_s(
    forward: list[float], backward: list[float], transfer: list[float], num: int
) -> tuple[float, float]:
    f, b = steps(forward, transfer), steps(backward, transfer)
    return asteroid_s(f, b, [0.0] * len(f), num), dapple_s(f, b, num)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize(("f", "b", "t"), [(1, 1, 0), (1, 1, 1), (1, 2, 0), (1, 2, 1), (2, 3, 1), (3, 7, 2)])
def test_exact_for_uniform_stages(count: int, f: float, b: float, t: float):
    chain = [f] * count, [b] * count, [t] * (count - 1)
    for num in (count, count + 1, 2 * count + 3, 12):
        asteroid, dapple = formulas_s(*chain, num)
        assert asteroid == dapple == walked_s(*chain, num)
        # Fill, M rounds, drain.
        assert asteroid == num * (f + b) + (count - 1) * (f + b + 2 * t)


@pytest.mark.parametrize("t", [2, 3, 4])
def test_two_stages_behind_a_slow_link_use_both_directions(t: float):
    """The formulas send 12 x 2 messages one after another; up to half of that time is saved."""
    asteroid, dapple = formulas_s([1] * 2, [1] * 2, [t], 12)
    assert asteroid == dapple
    assert 0.5 * dapple < walked_s([1] * 2, [1] * 2, [t], 12) < dapple


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("t", [3, 4])
def test_slow_links_few_micro_batches(count: int, t: float):
    """Filling and draining dominate; a cut that carries both ways at once gains, 15 % at the most here."""
    chain = [1.0] * count, [1.0] * count, [t] * (count - 1)
    for num in range(1, count + 1):
        _, dapple = formulas_s(*chain, num)
        assert 0.85 * dapple <= walked_s(*chain, num) <= dapple


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("t", [3, 4])
def test_slow_links_many_micro_batches(count: int, t: float):
    """A cut with 12 x 2 transfers is the bottleneck; the walk loses less than one transfer altogether."""
    chain = [1.0] * count, [1.0] * count, [t] * (count - 1)
    _, dapple = formulas_s(*chain, 12)
    assert dapple < walked_s(*chain, 12) < dapple + t


def test_gap_for_unequal_stages():
    """In 300 random chains Asteroid's formula is a lower bound of the recursion it stands for, off by a fifth
    at most; the walk lies within 20 % of the recursion, and agrees exactly with it in most.
    """
    rng = random.Random(0)
    exact = 0
    for _ in range(300):
        count, num = rng.choice((2, 3, 4)), rng.choice((4, 6, 9))
        forward = [float(rng.randint(1, 5)) for _ in range(count)]
        backward = (
            [2 * x for x in forward] if rng.random() < 0.5 else [float(rng.randint(1, 9)) for _ in forward]
        )
        transfer = [float(rng.randint(0, 4)) for _ in range(count - 1)]
        asteroid, dapple = formulas_s(forward, backward, transfer, num)
        walked = walked_s(forward, backward, transfer, num)
        assert asteroid <= dapple <= 1.25 * asteroid
        assert 0.8 * dapple <= walked <= 1.2 * dapple
        exact += walked == dapple
    assert exact > 150


def test_all_reduce_of_a_stage_ends_the_round():
    """Two stages of two devices each, 1 + 2 s; each group reduces 16 bytes, 2 x 1/2 x 16 = 16 s.

    Asteroid: max_s [Tw + Te + Ta] = max(0 + 4 x 3 + 3 + 16, 1 + 4 x 3 + 16) = 31.
    """
    tiny = workload(block("a", 1, 2, weight_bytes=16), block("b", 1, 2, weight_bytes=16))
    stages = [stage("a", {"x": 1, "y": 1}), stage("b", {"z": 1, "w": 1})]
    report = score(plan(pipeline(4, 2, *stages)), tiny, cluster("x", "y", "z", "w"))
    assert report.step_time_s == asteroid_s([1, 0, 1], [2, 0, 2], [16, 0, 16], 4) == 31


def test_dapple_counts_the_drain():
    """Unequal stages, where the published recursion (without end b(i - 1, x)) would let two backwards of the
    first stage overlap: B takes 4 s there, and the last three follow one another."""
    forward, backward = [1.0, 1.0], [4.0, 1.0]
    assert dapple_s([1, 0, 1], [4, 0, 1], 4) == walked_s(forward, backward, [0], 4) == 2 + 1 + 4 * 4 + 1
    assert score(
        plan(pipeline(1, 1, stage("a", {"x": 1}))), workload(block("a", 1, 4)), cluster(device("x"))
    ).step_time_s == dapple_s([1], [4], 1)
