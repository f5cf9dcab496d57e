"""Kinds: devices that can be exchanged, and groups that count once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import catalog
from models.cluster import Cluster
from solver.evaluate import evaluate
from solver.job import Job
from solver.participation.kinds import all_counts, counts_of, group_of, kinds_of, num_groups, within
from solver.participation.rename import renamed
from solver.placement import Placement
from solver.problem import Problem
from tests import random_plans
from tests.participation import boards


def test_equal_cards_and_links_are_one_kind() -> None:
    assert kinds_of(boards.problem([1, 2, 1, 1])) == (("d0", "d2", "d3"), ("d1",))


def test_rooms_part_equal_boards() -> None:
    """nano0 and nano1 share a room of two_rooms; a third nano in the other room is behind the bridge."""
    rooms = catalog.cluster("two_rooms")
    plain = rooms.model_dump(mode="json")
    plain["devices"][5] = {**plain["devices"][0], "name": "laptop"}
    workload = boards.problem([1, 1]).workload
    asked = Problem(workload, Cluster.model_validate(plain), Job(batch=4))
    assert kinds_of(asked) == (("nano0", "nano1"), ("tx2",), ("nx",), ("orin_nano",), ("laptop",))


def test_a_direct_link_tells_equal_boards_apart() -> None:
    link = {"between": ["d0", "d1"], "bandwidth_bytes_per_s": 1e9}
    asked = replace(boards.problem([1, 1, 1]), cluster=boards.cluster([1, 1, 1], links=[link]))
    assert kinds_of(asked) == (("d0", "d1"), ("d2",))


def test_data_and_rules_of_placement_tell_boards_apart() -> None:
    plain = boards.cluster([1, 1]).model_dump(mode="json")
    plain["devices"][0]["data"] = ["camera"]
    asked = boards.problem([1, 1])
    assert kinds_of(replace(asked, cluster=Cluster.model_validate(plain))) == (("d0",), ("d1",))
    assert kinds_of(replace(asked, placement=Placement())) == (("d0",), ("d1",))


def test_only_participants_are_counted() -> None:
    asked = boards.problem([1, 2, 1, 1], participants=frozenset({"d1", "d3"}))
    assert kinds_of(asked) == (("d1",), ("d3",))


def test_groups_count_once_up_to_exchanges() -> None:
    """Three equal boards and another: (3 + 1)(1 + 1) - 1 = 7 groups, not 15."""
    kinds = (("d0", "d2", "d3"), ("d1",))
    found = list(all_counts(kinds))
    assert len(found) == len(set(found)) == num_groups(kinds) == 7
    assert [sum(counts) for counts in found] == sorted(sum(counts) for counts in found)
    assert group_of(kinds, (2, 1)) == {"d0", "d2", "d1"}
    assert counts_of(kinds, {"d3", "d1"}) == (1, 1)
    assert within((1, 0), (2, 0)) and not within((1, 1), (2, 0))


@pytest.mark.parametrize("seed", range(12))
def test_exchanging_devices_of_a_kind_changes_no_figure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_plans.chain(rng, 5)
    where = boards.cluster([1, 3, 1, 1])
    line = random_plans.pipeline(rng, 5, ["d0", "d1", "d2"], 3, 6)
    plan = random_plans.plan([line], random_plans.job(rng, 18), devices={"d0": {}})
    other = renamed(plan, {"d0": "d3", "d3": "d0", "d2": "d0"} | {"d0": "d2"})
    one, two = (evaluate(p, net, where) for p in (plan, other))
    assert two.step_time_s == pytest.approx(one.step_time_s, rel=1e-12)
    assert two.energy_j == pytest.approx(one.energy_j, rel=1e-12)
    assert two.peak_memory_bytes == one.peak_memory_bytes


def test_a_renamed_plan_says_everything_it_said() -> None:
    text = {
        "workload": {"name": "w"},
        "cluster": {"name": "c"},
        "job": {"batch": 4},
        "pipelines": [
            {
                "micro_batches": 1,
                "samples": 4,
                "stages": [
                    {
                        "blocks": ["a"],
                        "shares": {
                            "a": 1,
                            "pair": {"samples": 3, "mode": "tensor", "shares": {"b": 6, "c": 6}},
                        },
                        "ring": ["c", "b", "a"],
                    },
                    {"blocks": ["b"], "mode": "sequence", "shares": {"tokens": {"a": 4, "b": 4}}},
                ],
            }
        ],
        "sync": {"topology": "star", "server": "b"},
        "devices": {"b": {"power_mode": "5w"}},
        "backup": [{"stage": [0, 0], "on": "b"}],
    }
    plan = random_plans.Plan.model_validate(text)
    said = renamed(plan, {"b": "x"}).model_dump(mode="json", exclude_defaults=True)
    (line,) = said["pipelines"]
    # Block b keeps its name.
    assert line["stages"][0]["shares"]["pair"]["shares"] == {"x": 6, "c": 6}
    assert line["stages"][0]["ring"] == ["c", "x", "a"]
    assert line["stages"][1] == {"blocks": ["b"], "mode": "sequence", "shares": {"tokens": {"a": 4, "x": 4}}}
    assert (said["sync"]["server"], list(said["devices"]), said["backup"][0]["on"]) == ("x", ["x"], "x")
    assert renamed(renamed(plan, {"b": "x"}), {"x": "b"}) == plan
