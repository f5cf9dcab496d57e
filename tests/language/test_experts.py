"""Experts: edges with shares, capacities, and what overflows."""

from __future__ import annotations

import pytest

from models.workload import Workload
from tests.language.cases import block, cluster, pipeline, plan, score, stage, walk, workload


def mixture(capacity: float | None) -> Workload:
    """A router sends a quarter of the tokens to one expert, three quarters to the other."""
    room = {} if capacity is None else {"capacity": capacity}
    return workload(
        block("route", 1, 1, output_bytes=8, tokens=2),
        block("few", 4, 4, output_bytes=8, kept_bytes=16, **room),
        block("many", 4, 4, output_bytes=8, kept_bytes=16, **room),
        block("join", 1, 1, kept_bytes=1),
        edges="route few 0.25, route many 0.75, few join 0.25, many join 0.75",
    )


SPREAD = [stage("route", {"x": 4}), stage("few", {"y": 4}), stage("many", {"z": 4}), stage("join", {"w": 4})]


def test_messages_and_work_are_as_large_as_the_capacity():
    """Room for half of the tokens: 4 samples x 8 bytes / 2 = 16 each way, and 4 x 4 / 2 = 8 s.

    ::

        x  FFFF [16 to y 4-20] [16 to z 20-36]
        y                     FFFFFFFF [16 to w 28-44]
        z                                     FFFFFFFF [16 to w 44-60]
        w                                                             FFFF
    """
    report = score(plan(pipeline(1, 4, *SPREAD)), mixture(0.5), cluster("x", "y", "z", "w"))
    assert walk(report, "x").startswith("F#0 0-4, send->y#0 4-20, send->z#0 20-36")
    assert walk(report, "y").startswith("F#0 20-28, send->w#0 28-44")
    assert walk(report, "z").startswith("F#0 36-44, send->w#0 44-60")
    assert walk(report, "w").startswith("F#0 60-64")
    assert set(report.traffic.values()) == {16}
    # Weights and gradients 8; kept what there is room for, 4 x 16 / 2, with the input inside; 16 of output;
    # 16 of gradient received and 16 to be sent.
    assert report.memory["y"].peak_bytes == 8 + 32 + 16 + 16 + 16


def test_overflow_passes_by_and_is_counted():
    """The second expert is expected 3/4 and has room for 1/2: a quarter of 4 samples x 2 tokens."""
    report = score(plan(pipeline(1, 4, *SPREAD)), mixture(0.5), cluster("x", "y", "z", "w"))
    assert report.overflow_tokens == 2


def test_without_a_capacity_the_expected_share_counts():
    """4 samples x 8 bytes: 8 and 24; 4 x 4 s: 4 and 12."""
    report = score(plan(pipeline(1, 4, *SPREAD)), mixture(None), cluster("x", "y", "z", "w"))
    assert report.traffic == {
        ("x", "y"): 8, ("x", "z"): 24, ("y", "w"): 8, ("z", "w"): 24,
        ("w", "y"): 8, ("w", "z"): 24, ("y", "x"): 8, ("z", "x"): 24,
    }  # fmt: skip
    assert (report.busy_s["y"], report.busy_s["z"]) == (2 * 4, 2 * 12)
    assert report.busy_s["w"] == 2 * 4
    assert report.overflow_tokens == 0


@pytest.mark.parametrize(("capacity", "size"), [(None, 32), (0.5, 32), (0.25, 16)])
def test_experts_on_one_device_get_different_tokens(capacity: float | None, size: int):
    """Their parts add up, to all tokens at most: 4 samples x 8 bytes are sent once."""
    together = [stage("route", {"x": 4}), stage("few many", {"y": 4}), stage("join", {"w": 4})]
    report = score(plan(pipeline(1, 4, *together)), mixture(capacity), cluster("x", "y", "w"))
    assert report.traffic[("x", "y")] == report.traffic[("y", "x")] == size


def test_a_dense_edge_beside_the_experts_carries_everything():
    """A residual past the experts: w gets the router's whole output, y and z their parts."""
    blocks = mixture(0.5).model_dump()
    blocks["edges"] = [*blocks["edges"], {"source": "route", "target": "join"}]
    report = score(
        plan(pipeline(1, 4, *SPREAD)), Workload.model_validate(blocks), cluster("x", "y", "z", "w")
    )
    assert (report.traffic[("x", "w")], report.traffic[("x", "y")], report.traffic[("x", "z")]) == (
        32,
        16,
        16,
    )
