"""The account of an elastic run: who was there, what was done, and joules, in all generations."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from models.cluster import Cluster
from solver.execution.elastic.account import Account, Chapter, told_spans
from solver.execution.elastic.energy import elastic_energy
from solver.execution.elastic.run import GENERATIONS, ElasticResult, run_elastic
from solver.execution.elastic.strikes import Strike
from solver.execution.elastic.summons import carried
from solver.execution.elastic.whereabouts import Generation
from solver.lowering import lower
from solver.plan import Plan
from solver.program import COMPUTE, Kind
from solver.repair.stock import Move, context_of
from tests.execution import plans
from tests.execution.elastic.test_faults import VIT, chain
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=1, kept_bytes=2), block("b", 1, 2, kept_bytes=3))
BOARDS = cluster(
    device("x", idle_w=1, busy_w=4, radio_w=0.5),
    device("y", idle_w=2, busy_w=2),
    device("z", idle_w=3, busy_w=3),
)
# x  F0 [0] F1 [1]         B0 6-8    B1 9-11      y  F0 2-3 B0 3-5 F1 5-6 B1 6-8
PLAN = plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))
REPORT = score(PLAN, TINY, BOARDS)
SECOND_NS = 10**9


def spans_of(name: str, until_s: float = 100.0) -> dict[int, tuple[int, int]]:
    """What a device would measure of a step that goes as predicted, and ends early."""
    start, end = REPORT.timeline.start_s, REPORT.timeline.end_s
    return {
        one.index: (round(start[one.index] * SECOND_NS), round(end[one.index] * SECOND_NS))
        for one in REPORT.program.of_device(name)
        if one.row.kind not in (Kind.SEND, Kind.HANDOVER) and end[one.index] <= until_s
    }


def begun(*devices: str) -> Account:
    """A run of which z is an unused board, decided at 90 s and begun at 100 s."""
    account = Account(BOARDS.by_name)
    for name in devices:
        account.come(name, 80.0)
    account.begin(Generation(1, PLAN, ("x", "y"), 0, 11.0), REPORT.program, (), 90.0)
    account.hear("x", {"begins": 0}, 100.0)
    return account


def tell(account: Account, step: int, name: str, until_s: float = 100.0, dilation: float = 1.0) -> None:
    account.hear(name, {**told_spans(step, 0, spans_of(name, until_s)), "dilation": dilation}, 0.0)


def energy(chapters: tuple[Chapter, ...]) -> Any:
    return elastic_energy(chapters, TINY, BOARDS)


def test_steps_that_keep_to_the_plan_cost_what_was_predicted() -> None:
    account = begun("x", "y")
    for step in (0, 1):
        tell(account, step, "x")
        tell(account, step, "y")
        account.hear("", {"loss": 1.0, "step_time_s": 11.0}, 0.0)
    (chapter,) = account.close(122.0, 1.0)
    found = energy((chapter,))
    assert (chapter.num_steps, chapter.in_steps_s, chapter.until_s) == (2, 22.0, 22.0)
    assert found.energy_j == pytest.approx(2 * REPORT.energy_j, rel=1e-12)
    assert found.in_steps_j == pytest.approx(found.energy_j, rel=1e-12)


def test_what_passes_between_steps_costs_idle_power() -> None:
    account = begun("x", "y")
    tell(account, 0, "x")
    tell(account, 0, "y")
    account.hear("", {"loss": 1.0, "step_time_s": 11.0}, 0.0)
    found = energy(account.close(121.0, 1.0))
    assert found.energy_j - found.in_steps_j == pytest.approx(10 * (1 + 2 + 3))


def test_a_board_that_died_is_off_until_it_is_back() -> None:
    """y dies at 106; x has done two forwards (1 s at 3 W more) and sent one message by then."""
    account = begun("x", "y")
    tell(account, 0, "x", until_s=5.0)
    account.go("y", 106.0)
    other = plan(pipeline(2, 1, stage("a b", {"x": 1})))
    program = lower(other, TINY, BOARDS)
    account.begin(Generation(2, other, ("x",), 0, 12.0), program, (), 110.0)
    account.come("y", 115.0)
    first, second = account.close(125.0, 1.0)
    assert first.there_s == {"x": 10.0, "y": 6.0, "z": 10.0}
    assert second.there_s == {"x": 15.0, "y": 10.0, "z": 15.0}
    assert [(one.step, one.is_whole) for one in first.kept] == [(0, False)]
    parts = energy((first, second)).by_device
    assert {name: part.idle_j for name, part in parts.items()} == {"x": 25, "y": 32, "z": 75}
    forwards = sum(end - start for start, end in spans_of("x", 5.0).values()) / SECOND_NS
    assert parts["x"].compute_j == pytest.approx(3 * forwards)


def test_emulated_seconds_are_host_seconds_over_the_dilation() -> None:
    account = begun("x", "y")
    tell(account, 0, "x", dilation=2.0)
    tell(account, 0, "y", dilation=2.0)
    (chapter,) = account.close(111.0, 2.0)
    assert chapter.until_s == 5.5
    assert energy((chapter,)).energy_j == pytest.approx(REPORT.energy_j / 2)


def test_weights_that_move_cost_radio() -> None:
    """100 bytes from x to y at a byte a second: half a watt at x, for as long."""
    context = context_of(PLAN, TINY, BOARDS)
    moved = carried([Move("a", ("x",), "y", False, 100), Move("b", ("y",), "y", True, 100)], context)
    (one,) = moved
    assert (one.source, one.target, one.seconds) == ("x", "y", context.transfer("x", "y", 100)[0])
    account = Account(BOARDS.by_name)
    account.begin(Generation(1, PLAN, ("x", "y"), 0, 11.0), REPORT.program, moved, 0.0)
    account.hear("x", {"begins": 0}, 0.0)
    assert energy(account.close(0.0, 1.0)).by_device["x"].radio_j == pytest.approx(0.5 * one.seconds)


def test_a_run_that_never_began_costs_nothing() -> None:
    account = Account(BOARDS.by_name)
    assert account.close(1.0, 1.0) == ()
    assert energy(()).to_json(0)["total"] == 0


def test_long_runs_keep_no_more_than_short_ones() -> None:
    sizes = []
    for steps in (40, 400):
        account = begun("x", "y")
        for step in range(steps):
            tell(account, step, "x")
            tell(account, step, "y")
        sizes.append(len(pickle.dumps(account)))
    assert sizes[1] - sizes[0] < 100


def powered() -> Cluster:
    """Three unequal boards and one that takes no part."""
    boards = plans.cluster("a", "b", "c", "d")
    watts = {"a": (1, 3, 0.2), "b": (2, 5, 0.4), "c": (1.5, 9, 0.1), "d": (4, 8, 0.3)}
    found = []
    for one in boards.devices:
        idle, busy, radio = watts[one.name]
        plain = one.model_dump(mode="json") | {"idle_w": idle, "busy_w": busy, "radio_w": radio}
        found.append(type(one).model_validate(plain))
    return boards.with_devices(found)


def recomputed(folder: Path, boards: Cluster) -> dict[str, float]:
    """Work out joules by board anew, from the intervals in the file and the cards alone."""
    found = dict.fromkeys(boards.by_name, 0.0)
    for chapter in json.loads((folder / GENERATIONS).read_text()):
        program = lower(Plan.model_validate(chapter["plan"]), VIT, boards)
        assert len([one for one in chapter["kept"] if one["is_whole"]]) == chapter["num_steps"]
        for name, seconds in chapter["there_s"].items():
            found[name] += boards.by_name[name].idle_w.value * seconds
        for kept in chapter["kept"]:
            for index, (start, end) in enumerate(zip(kept["start_s"], kept["end_s"], strict=True)):
                row = program.instruction(index).row
                board = boards.by_name[row.device]
                if start is not None and row.kind != Kind.HANDOVER:
                    more = board.busy_w.value - board.idle_w.value
                    ways = 2 if row.kind == Kind.COLLECTIVE else 1  # a pair sends and receives at once
                    watt = more if row.kind in COMPUTE else ways * board.radio_w.value
                    found[row.device] += watt * (end - start)
        for one in chapter["carried"]:
            for name in (one["source"], one["target"]):
                found[name] += boards.by_name[name].radio_w.value * one["seconds"]
    return found


def train(folder: Path, *strikes: Strike) -> ElasticResult:
    words: dict[str, Any] = {"steps": 20, "mode": "padded", "dilation": 2.0, "reference": False}
    return run_elastic(chain(), VIT, powered(), strikes=strikes, out=folder, **words)


def test_energy_of_all_generations_is_that_of_the_intervals_in_its_file(tmp_path: Path) -> None:
    result = train(tmp_path, Strike(2, "b", "kill", back_after=2, delay_s=0.05))
    data = json.loads((tmp_path / "elastic.json").read_text())["energy_j"]
    joules = recomputed(tmp_path, powered())
    assert data["total"] == pytest.approx(sum(joules.values()), rel=1e-9)
    for name, parts in data["by_device"].items():
        assert sum(parts.values()) == pytest.approx(joules[name], rel=1e-9)
    first, without, after = result.chapters
    assert [one.until_s for one in (first, without)] == [one.from_s for one in (without, after)]
    assert after.until_s == pytest.approx(result.story.wall_s / result.story.dilation)
    assert without.there_s["a"] == without.until_s - without.from_s > without.there_s["b"]
    assert first.there_s["b"] < first.until_s
    assert sum(one.num_steps for one in result.chapters) == 20
    assert any(not kept.is_whole for kept in first.kept)
    # a, c and d are there from the first to the last step.
    for name in ("a", "c", "d"):
        idle = powered().by_name[name].idle_w.value
        assert data["by_device"][name]["idle"] == pytest.approx(idle * after.until_s, rel=1e-9)


def test_a_frozen_board_stays_on(tmp_path: Path) -> None:
    result = train(tmp_path, Strike(2, "c", "freeze", back_after=None, delay_s=0.05))
    assert sum(one.there_s["c"] for one in result.chapters) == pytest.approx(result.story.wall_s / 2)
    joules = recomputed(tmp_path, powered())
    assert result.total.energy_j == pytest.approx(sum(joules.values()), rel=1e-9)
