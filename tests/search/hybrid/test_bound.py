"""Bounds of hybrid pipelines: valid under slack cut-offs, exact where they end, and why means are a bound."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.quantity import Quantity
from solver.batch import BatchScorer, PackedPlans
from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound import HybridBound
from solver.search.hybrid.bound_quick import quick_bounds
from solver.search.hybrid.bound_stages import stage_tables
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.bound_walk import CROSSING, orders, set_crossing, walk_step
from solver.search.hybrid.exhaustive import best_of_all, make_scorer, space_size
from solver.search.hybrid.plans import all_plans, group_shares
from solver.search.incumbent import Search
from tests.algorithms.cases import chain, cluster, problem, random_problem

MOST_PLANS = 20_000


def small_problems(count: int, objective: str = "time") -> list[Problem]:
    """Random problems whose hybrid plans can all be looked at."""
    found = []
    for seed in range(10 * count):
        what = random_problem(seed, objective)
        assert what.num_micro_batches is not None
        try:
            make_scorer(what, what.num_micro_batches)
        except DeclinedError:
            continue
        if len(what.usable) > 1 and space_size(what, what.num_micro_batches) <= MOST_PLANS:
            found.append(what)
        if len(found) == count:
            break
    return found


def least_s(what: Problem) -> float:
    search = Search(what)
    best_of_all(what, search, what.num_micro_batches or 1)
    return search.best_score


def attempt(what: Problem, limit_s: float) -> tuple[float, Search]:
    search = Search(what)
    bound = HybridBound(what, search, what.num_micro_batches or 1).attempt(
        limit_s, Allowance(search, 1.0, 10**6)
    )
    assert bound is not None
    return bound, search


@pytest.mark.parametrize("factor", [0.95, 1 - 1e-9, 1.05, 2.0, math.inf])
def test_a_bound_is_never_above_the_optimum_and_a_slack_cut_off_ends_in_it(factor: float) -> None:
    for what in small_problems(30):
        best = least_s(what)
        bound, search = attempt(what, factor * best if math.isfinite(best) else math.inf)
        if math.isinf(best):
            assert search.best_plan is None
            continue
        assert bound <= best * (1 + 1e-9)
        if factor > 1:
            assert search.best_score == pytest.approx(best, rel=1e-9)
            assert bound == pytest.approx(best, rel=1e-9)


def test_depths_that_share_tables_keep_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one depth only, and one kind of stage."""
    monkeypatch.setattr("solver.search.hybrid.bound.num_levels", lambda *_: 1)
    monkeypatch.setattr("solver.search.hybrid.bound_stages.MOST_ENTRIES", 1)
    for what in small_problems(20):
        best = least_s(what)
        for factor in (0.95, 1.5) if math.isfinite(best) else (math.inf,):
            bound, search = attempt(what, factor * best if math.isfinite(best) else math.inf)
            assert bound <= best * (1 + 1e-9)
            if factor > 1:
                assert search.best_score == pytest.approx(best, rel=1e-9)


def test_with_free_caps_a_slack_cut_off_ends_in_the_optimum_too() -> None:
    looked_at = 0
    for what in small_problems(60):
        free = replace(what, in_flight="free")
        if space_size(free, free.num_micro_batches or 1) > MOST_PLANS:
            continue
        looked_at += 1
        best = least_s(free)
        for factor in (0.98, 1.5, math.inf):
            bound, search = attempt(free, factor * best if math.isfinite(best) else math.inf)
            assert bound <= best * (1 + 1e-9)
            if factor > 1:
                assert search.best_score == pytest.approx(best, rel=1e-9)
                assert math.isinf(best) or bound == pytest.approx(best, rel=1e-9)
    assert looked_at > 10


def test_with_free_caps_a_bound_holds_where_nothing_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solver.search.hybrid.bound.MOST_EXACT", 0)
    for what in small_problems(40):
        free = replace(what, in_flight="free")
        if space_size(free, free.num_micro_batches or 1) > MOST_PLANS:
            continue
        best = least_s(free)
        for factor in (1.0, 1.5) if math.isfinite(best) else ():
            bound, _ = attempt(free, factor * best)
            assert bound <= best * (1 + 1e-9)


def test_quick_bounds_are_never_above_the_optimum() -> None:
    for objective in ("time", "bottleneck", "energy"):
        for what in small_problems(15, objective):
            best = least_s(what)
            assert quick_bounds(what, what.num_micro_batches or 1)[objective] <= best * (1 + 1e-9)


def powers(idle_w: float) -> dict[str, Quantity]:
    watts = {"idle_w": idle_w, "busy_w": 3 * idle_w, "sleep_w": 0.5}
    return {word: Quantity(value=value) for word, value in watts.items()}


@pytest.mark.parametrize("left_out", ["sleep", "off"])
@pytest.mark.parametrize("objective", ["energy", "carbon"])
def test_quick_bounds_of_energy_know_what_left_out_devices_draw(left_out: str, objective: str) -> None:
    for what in small_problems(15, "energy"):
        boards = []
        for d, device in enumerate(what.cluster.devices):
            grams = {"carbon_g_per_kwh": Quantity(value=100.0 * (d * 2 % 3))}
            boards.append(device.model_copy(update=powers(1.0 + d) | grams))
        cluster = what.cluster.with_devices(boards)
        problem = replace(what, cluster=cluster, left_out=left_out, objective=objective)
        bound = quick_bounds(problem, problem.num_micro_batches or 1)[objective]
        assert bound <= least_s(problem) * (1 + 1e-9)


def test_the_quick_bound_by_hand() -> None:
    """3 blocks of 4 flop a sample at 1 and 2 flop/s together: 4 s a micro-batch of one sample, 4 of them."""
    what = problem(chain(3), cluster({"slow": 1.0, "fast": 2.0}))
    assert quick_bounds(what, 4)["bottleneck"] == pytest.approx(4.0)
    assert quick_bounds(what, 4)["time"] == pytest.approx(16.0)


def walked_s(what: Problem, tables: HybridTables, plans: PackedPlans, b: int) -> float:
    """Walk a plan at the means of its own durations over the samples."""
    num, total = int(plans.num_stages[b]), tables.samples
    ends = [0, *plans.ends[b, :num].tolist()]
    parts = plans.shares[b, :num][:, tables.numbers] / total
    spread, groups = (parts**2).sum(axis=1), [int(sum(1 << d for d in np.flatnonzero(row))) for row in parts]
    durations, crossings = np.zeros((2, num)), np.zeros((2, num), CROSSING)
    finish = np.array([tables.finish_s[groups[s], ends[s], ends[s + 1]] for s in range(num)])
    rates, latencies, media = tables.links
    for s in range(num):
        taken = np.rint(parts[s] * total).astype(int)
        for way in range(2):
            times = tables.times_s[way][:, :, ends[s + 1]] - tables.times_s[way][:, :, ends[s]]
            durations[way, s] = sum(parts[s, d] * times[d, n] for d, n in enumerate(taken))
        if s + 1 < num:
            size = tables.sample_bytes[ends[s + 1]] * total
            pieces = max(groups[s].bit_count(), groups[s + 1].bit_count())
            for way, (a, z) in enumerate(((s, s + 1), (s + 1, s))):
                f, g = groups[a], groups[z]
                set_crossing(
                    crossings[way, s],
                    size,
                    rates[f, g],
                    latencies[f, g],
                    media[f, g],
                    spread[a],
                    spread[z],
                    pieces,
                )
    frozen = sum(not tables.has_backward[end] for end in ends[1:])
    events, place, _, _ = orders(tables)
    first, last = place[num, frozen]
    count, grouped = tables.num_micro_batches, np.array([g.bit_count() > 1 for g in groups], np.int64)
    return float(
        walk_step(
            events[first:last],
            num,
            durations,
            crossings,
            finish,
            grouped,
            what.settings.overlap,
            np.zeros((3, num)),
            np.zeros(tables.num_media),
            np.zeros((num, 2 * count)),
            np.zeros((num, 2 * count)),
        )
    )


def test_the_walk_at_mean_durations_is_below_the_step_and_exact_for_single_devices() -> None:
    rng = np.random.default_rng(0)
    groups = 0
    for what in small_problems(25):
        tables = HybridTables(what, what.num_micro_batches or 1)
        scorer: BatchScorer = make_scorer(what, tables.num_micro_batches)
        width = len(what.cluster.devices)
        for plans in all_plans(tables.num_blocks, tables.numbers, width, tables.samples):
            picked = plans.take(rng.choice(len(plans), min(len(plans), 20), replace=False))
            steps = scorer.score(picked).step_time_s
            for b in range(len(picked)):
                walked = walked_s(what, tables, picked, b)
                single = ((picked.shares[b] > 0).sum(axis=1) <= 1).all()
                groups += not single
                if single:
                    assert walked == pytest.approx(steps[b], rel=1e-9)
                assert walked <= steps[b] * (1 + 1e-9)
    assert groups > 200


def test_stages_take_the_least_over_all_shares() -> None:
    """Against all shares of every group of three devices, and fractions of samples are below them."""
    for what in small_problems(8):
        tables = HybridTables(what, what.num_micro_batches or 1)
        found = stage_tables(tables, math.inf)
        whole = (0, tables.num_blocks)
        times = tables.times_s[..., whole[1]] - tables.times_s[..., whole[0]]
        for group in range(1, 1 << len(tables.numbers)):
            members = [d for d in range(len(tables.numbers)) if group >> d & 1]
            fits = tables.most_samples[0, :, whole[0], whole[1]]
            rows = [
                row
                for row in group_shares(len(members), tables.samples).tolist()
                if all(n <= fits[d] for d, n in zip(members, row, strict=True))
            ]
            value = found.compute_s[0, group, whole[0], whole[1]]
            if math.isinf(value):
                continue
            means = [
                sum(n * times[:, d, n].sum() for d, n in zip(members, row, strict=True)) / tables.samples
                for row in rows
            ]
            slowest = [max(times[:, d, n].sum() for d, n in zip(members, row, strict=True)) for row in rows]
            assert value == pytest.approx(min(means))
            assert found.slowest_s[0, group, whole[0], whole[1]] == pytest.approx(min(slowest))


def test_fractions_of_samples_are_below_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for what in small_problems(12):
        tables = HybridTables(what, what.num_micro_batches or 1)
        whole = stage_tables(tables, math.inf)
        with monkeypatch.context() as patch:
            patch.setattr("solver.search.hybrid.bound_stages.EXACT_SAMPLES", 0)
            parts = stage_tables(tables, math.inf)
        listed = np.isfinite(whole.compute_s)
        assert np.isfinite(parts.compute_s[listed]).all()
        for word in ("forward_s", "backward_s", "compute_s", "slowest_s", "spread"):
            more, less = getattr(whole, word)[listed], getattr(parts, word)[listed]
            assert (less <= more * (1 + 1e-9) + 1e-15).all()
        best = least_s(what)
        with monkeypatch.context() as patch:
            patch.setattr("solver.search.hybrid.bound_stages.EXACT_SAMPLES", 0)
            bound, search = attempt(what, math.inf)
        assert bound <= best * (1 + 1e-9)
        assert search.best_score == pytest.approx(best)
