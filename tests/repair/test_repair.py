"""Plans for the devices that are left: cut again by hand, costed, and safe against the next fault."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from models.cluster import Cluster, Device
from models.workload import Workload
from solver.check import check
from solver.evaluate import evaluate
from solver.plan import Plan, share_devices
from solver.repair.backups import protected, unsafe_stages
from solver.repair.policy import Planner, Repair, replanned
from solver.repair.recut import Recut
from solver.repair.remaining import without
from solver.repair.stock import WHOLE, Stock, context_of, copy_moves, moves, seconds

NAMES = ("a", "b", "c")


def workload() -> Workload:
    """Six equal blocks in a chain, each 1 s forward and 1 s + 1 s backward for a sample at 1 Gflop/s."""
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": 1e9,
            "backward_input_flop": 1e9,
            "backward_weight_flop": 1e9,
            "weight_bytes": 4000,
            "kept_bytes": 100,
            "output_bytes": 100,
        }
        for i in range(6)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(5)]
    return Workload.model_validate({"name": "six", "blocks": blocks, "edges": edges})


def cluster(**flop_per_s: float) -> Cluster:
    """Devices on a switch of 1 MB/s without latency."""
    devices = [
        {
            "name": name,
            "flop_per_s": {"fp32": flop_per_s.get(name, 1e9)},
            "memory_bytes": 1e9,
            "memory_bytes_per_s": 1e12,
        }
        for name in NAMES
    ]
    segment = {"name": "net", "members": list(NAMES), "bandwidth_bytes_per_s": 1e6}
    return Cluster.model_validate({"name": "three", "devices": devices, "segments": [segment]})


def plan(*stages: tuple[str, dict[str, int]], **rest: Any) -> Plan:
    """One pipeline of one micro-batch of four samples; a stage is its blocks' numbers, and its shares."""
    return Plan.model_validate(
        {
            "workload": {"name": "six"},
            "cluster": {"name": "three"},
            "job": {"batch": 4, "optimizer": "momentum"},
            "pipelines": [
                {
                    "micro_batches": 1,
                    "samples": 4,
                    "stages": [{"blocks": [f"b{i}" for i in s], "shares": d} for s, d in stages],
                }
            ],
            **rest,
        }
    )


CHAIN = plan(("01", {"a": 4}), ("23", {"b": 4}), ("45", {"c": 4}))


def shape(found: Plan | None) -> list[tuple[str, dict[str, Any]]]:
    assert found is not None
    return [("".join(b[1:] for b in s.blocks), dict(s.shares)) for s in found.pipelines[0].stages]  # type: ignore[arg-type]


def test_blocks_of_a_lost_stage_go_to_the_faster_neighbour() -> None:
    recut = Recut(workload(), cluster(c=4e9))
    assert shape(recut.plan(CHAIN, {"b"})) == [("0", {"a": 4}), ("12345", {"c": 4})]


def test_lost_ends_of_a_chain_go_to_the_one_neighbour() -> None:
    recut = Recut(workload(), cluster(), num_evaluations=1)
    assert shape(recut.plan(CHAIN, {"a"})) == [("0123", {"b": 4}), ("45", {"c": 4})]
    recut = Recut(workload(), cluster(), num_evaluations=1)
    assert shape(recut.plan(CHAIN, {"c"})) == [("01", {"a": 4}), ("2345", {"b": 4})]


def test_group_shares_the_work_of_a_lost_member_by_speed() -> None:
    group = plan(("012345", {"a": 1, "b": 1, "c": 2}))
    assert shape(Recut(workload(), cluster(c=3e9)).plan(group, {"b"})) == [("012345", {"a": 1, "c": 3})]


def test_a_ring_goes_on_without_a_lost_member() -> None:
    group = plan(("012345", {"a": 1, "b": 1, "c": 2}))
    stage = group.pipelines[0].stages[0].model_copy(update={"ring": ("c", "b", "a")})
    line = group.pipelines[0].model_copy(update={"stages": (stage,)})
    found = Recut(workload(), cluster()).plan(group.model_copy(update={"pipelines": (line,)}), {"b"})
    assert found is not None and found.pipelines[0].stages[0].ring == ("c", "a")


def test_nobody_is_left() -> None:
    assert Recut(workload(), cluster()).plan(CHAIN, set(NAMES)) is None


def test_every_repair_is_sound() -> None:
    cases = [CHAIN, plan(("012", {"a": 2, "b": 2}), ("345", {"c": 4}))]
    for before in cases:
        for name in NAMES:
            for how in ("light", "full"):
                repair = Repair(policy=how)  # type: ignore[arg-type]
                planner = Planner(before, workload(), cluster(b=2e9), repair, lambda found: True)
                stock = Stock.of(context_of(before, workload(), cluster(b=2e9)), ())
                (found,) = planner.candidates({name}, stock, 10)
                check(found.plan, workload(), cluster(b=2e9))
                assert found.how == how
                assert name not in {
                    d for s in found.plan.pipelines[0].stages for d in share_devices(s.shares)
                }
                assert not unsafe_stages(found.plan, workload(), cluster(b=2e9))


def test_backups_cover_what_is_in_one_place_only() -> None:
    assert unsafe_stages(CHAIN, workload(), cluster()) == [(0, 0), (0, 1), (0, 2)]
    safe = protected(CHAIN, workload(), cluster())
    assert [backup.stage for backup in safe.backup] == [(0, 0), (0, 1), (0, 2)]
    own = [share_devices(stage.shares)[0] for stage in CHAIN.pipelines[0].stages]
    assert all(backup.on != name for backup, name in zip(safe.backup, own, strict=True))
    assert not unsafe_stages(safe, workload(), cluster())
    group = plan(("012345", {"a": 1, "b": 1, "c": 2}))
    assert protected(group, workload(), cluster()) == group


def test_a_copy_beside_the_target_does_not_move() -> None:
    before = plan(("01", {"a": 4}), ("23", {"b": 4}), ("45", {"c": 4}), backup=[{"stage": [0, 1], "on": "c"}])
    after = plan(("01", {"a": 4}), ("2345", {"c": 4}))
    stock = Stock.of(context_of(before, workload(), cluster()), {"b"})
    assert stock.lost() == ()
    assert stock.needs_copies() == ("b2", "b3")
    found = moves(stock, context_of(after, workload(), cluster()))
    assert [(m.block, m.sources, m.target, m.from_copy) for m in found] == [
        ("b2", ("c",), "c", True),
        ("b3", ("c",), "c", True),
    ]
    assert seconds(found, context_of(after, workload(), cluster())) == 0


def test_moves_take_weights_and_optimizer_state_over_the_link() -> None:
    after = plan(("0123", {"a": 4}), ("45", {"c": 4}))
    context = context_of(after, workload(), cluster())
    stock = Stock.of(context_of(CHAIN, workload(), cluster()), ())
    found = moves(stock, context)
    assert [(m.block, m.sources, m.target, m.num_bytes) for m in found] == [
        ("b2", ("b",), "a", 8000),
        ("b3", ("b",), "a", 8000),
    ]
    assert seconds(found, context) == pytest.approx(0.016)


def test_parts_of_a_cut_block_make_a_whole() -> None:
    half = Fraction(1, 2)
    stock = Stock({"b": {"a": (Fraction(0), half), "c": (half, Fraction(1)), "d": (Fraction(0), half)}})
    assert stock.sources("b") == ("a", "c")
    assert Stock({"b": {"a": (Fraction(0), half)}}).lost() == ("b",)
    assert Stock({"b": {"a": WHOLE}}).lost() == ()


def test_cheapest_counts_planning_moving_and_running() -> None:
    planner = Planner(CHAIN, workload(), cluster(), Repair(horizon=50), lambda found: True)
    stock = Stock.of(context_of(protected(CHAIN, workload(), cluster()), workload(), cluster()), {"b"})
    first, second = planner.candidates({"b"}, stock, 20)
    assert {first.how, second.how} == {"light", "full"}
    assert first.cost_s <= second.cost_s
    for one in (first, second):
        assert one.step_s == evaluate(one.plan, workload(), cluster()).step_time_s
        assert one.cost_s == pytest.approx(one.planning_s + one.move_s + 20 * one.step_s)


def test_a_cluster_loses_devices_and_the_switches_that_joined_two_of_them() -> None:
    rooms = Cluster.model_validate(
        {
            "name": "rooms",
            "devices": [
                {"name": n, "flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9} for n in ("a", "b", "c", "d")
            ],
            "segments": [
                {"name": "one", "members": ["a", "b"], "bandwidth_bytes_per_s": 5e6},
                {"name": "two", "members": ["c", "d"], "bandwidth_bytes_per_s": 5e6},
                {"name": "hall", "members": ["one", "two"], "bandwidth_bytes_per_s": 1e6},
            ],
        }
    )
    left = without(rooms, {"b"})
    assert list(left.by_name) == ["a", "c", "d"]
    assert {s.name: s.members for s in left.segments} == {"two": ("c", "d"), "hall": ("a", "two")}
    assert left.link("a", "c").bytes_per_s == 1e6


def test_a_new_plan_has_only_devices_of_the_old_one() -> None:
    """c is the fastest by far but takes no part: it has no process, and no data."""
    card, boards = workload(), cluster(c=1e12)
    before = plan(("012", {"a": 4}), ("345", {"b": 4}))
    after = replanned(before, card, boards, {"b"}, Repair())
    assert after is not None
    assert {name for s in after.pipelines[0].stages for name in s.shares} == {"a"}


def test_a_new_plan_keeps_power_modes_and_what_left_out_devices_do() -> None:
    slow = {"slow": {"flop_per_s": {"fp32": 0.5e9}, "busy_w": 1}}
    boards = cluster()
    boards = boards.with_devices(
        Device.model_validate({**device.model_dump(), "power_modes": slow}) for device in boards.devices
    )
    modes = {"a": {"power_mode": "slow"}, "b": {"power_mode": "slow"}}
    before = plan(("012", {"a": 4}), ("345", {"b": 4}), devices=modes, left_out="off")
    after = replanned(before, workload(), boards, {"b"}, Repair())
    assert after is not None and after.left_out == "off"
    assert {name: choice.power_mode for name, choice in after.devices.items()} == {"a": "slow"}
    # Four samples of 17 Gflop (nobody needs the gradient of the first input) at half the speed.
    assert evaluate(after, workload(), boards).step_time_s == pytest.approx(2 * 4 * 17)


def test_frozen_weights_move_once_to_a_new_keeper() -> None:
    """Of four blocks of 4000 bytes that b2 and b3 keep frozen, c kept a copy of one stage already."""
    frozen = {"job": {"batch": 4, "optimizer": "momentum", "frozen": ["b0", "b1", "b2"]}}
    stages = ("01", {"a": 4}), ("23", {"b": 4}), ("45", {"c": 4})
    before = plan(*stages, backup=[{"stage": [0, 0], "on": "c"}], **frozen)
    kept = [{"stage": [0, 0], "on": "c"}, {"stage": [0, 1], "on": "c"}, {"stage": [0, 2], "on": "a"}]
    after = context_of(plan(*stages, backup=kept, **frozen), workload(), cluster())
    stock = Stock.of(context_of(before, workload(), cluster()), ())
    found = copy_moves(stock, after)
    assert [(m.block, m.sources, m.target, m.num_bytes) for m in found] == [("b2", ("b",), "c", 4000)]
    assert moves(stock, after) == []
    traffic = evaluate(after.plan, workload(), cluster()).traffic
    bare = evaluate(plan(*stages, **frozen), workload(), cluster()).traffic
    more = {pair: size - bare.get(pair, 0) for pair, size in traffic.items() if size != bare.get(pair, 0)}
    # b3 is trained: weights and momentum; so are b4 and b5, which a keeps; b0 and b1 never change.
    assert more == {("b", "c"): 8000, ("c", "a"): 16000}
