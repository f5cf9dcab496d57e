"""Placing: bytes and seconds until every device has its part of the weights."""

from __future__ import annotations

import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.phases.placing import Placing, placing
from solver.plan import Plan
from tests.language.cases import block, device, pipeline, plan, stage, workload

TINY = workload(
    block("a", 1, 2, weight_bytes=100, output_bytes=1),
    block("b", 1, 2, weight_bytes=40, output_bytes=1),
    block("c", 1, 2, weight_bytes=20),
)
BOARDS = Cluster.model_validate(
    {
        "name": "boards",
        "devices": [device(name) for name in "xyz"],
        "segments": [
            {
                "name": "net",
                "members": ["x", "y", "z"],
                "bandwidth_bytes_per_s": 10,
                "latency_s": 1,
            }
        ],
    }
)
PLAN = plan(pipeline(1, 2, stage("a", {"x": 2}), stage("b c", {"y": 1, "z": 1})))


def found(what: Plan = PLAN, source: str | None = None, tiny: Workload = TINY) -> Placing:
    return placing(what, tiny, BOARDS, evaluate(what, tiny, BOARDS).program, source)


def test_a_star_from_where_the_model_lies() -> None:
    """x keeps a; y gets b in 1 + 4 s and c in 1 + 2 s, then z the same through the same sending lane."""
    one = found()
    assert (one.source, one.moved_bytes, one.seconds) == ("x", 120, 16)
    assert {name: shelf.there_s for name, shelf in one.shelves.items()} == {"x": 0, "y": 8, "z": 16}
    assert one.shelves["y"].blocks == {"b": 40, "c": 20}


def test_from_another_device() -> None:
    """From z: x gets a in 1 + 10 s, then y its two blocks in 8 s."""
    one = found(source="z")
    assert (one.moved_bytes, one.seconds) == (160, 19)
    assert one.shelves["z"].there_s == 0


def test_copies_for_others_come_last() -> None:
    """a goes to z too, in 1 + 10 s, when all have what they train."""
    backed = PLAN.model_validate({**PLAN.model_dump(), "backup": [{"stage": [0, 0], "on": "z"}]})
    one = found(backed)
    assert one.shelves["z"].copies == {(0, 0): {"a": 100}}
    assert (one.shelves["z"].backup_bytes, one.shelves["z"].there_s, one.moved_bytes) == (100, 27, 220)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"no device is called 'w'; there are: x, y, z"):
        found(source="w")
