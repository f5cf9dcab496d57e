"""Limits: a sound plan that breaks one is evaluated, and the numbers are told."""

from __future__ import annotations

import pytest

from solver.report import Report, Violation
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, kept_bytes=5), block("b", 1, 2))


def single(**job: float) -> Report:
    """One sample on a board of 20 bytes that needs 21: 8 + 8 static and 5 kept; 6 s at 2 W idle, 5 W busy."""
    board = cluster(device("x", memory_bytes=20, idle_w=2, busy_w=5))
    return score(plan(pipeline(1, 1, stage("a b", {"x": 1})), job=job), TINY, board)


def test_memory():
    (violation,) = single().violations
    assert (violation.limit, violation.where, violation.unit) == ("memory", "x", "bytes")
    assert (violation.given, violation.allowed) == (21, 20)
    assert violation.message == (
        "device x needs 21 bytes and has 20: 1 too many "
        "(weights 8, gradients 8, optimizer 0, activations 5, receive buffers 0)"
    )


def test_deadline_and_energy_and_memory_at_once():
    found = {
        v.limit: (v.given, v.allowed, v.unit) for v in single(deadline_s=5.5, energy_budget_j=29).violations
    }
    assert found == {
        "memory": (21, 20, "bytes"),
        "deadline": (6, 5.5, "s"),
        "energy": (5 * 6, 29, "J"),
    }


def test_limits_that_are_just_kept():
    report = single(deadline_s=6, energy_budget_j=30)
    assert [v.limit for v in report.violations] == ["memory"]


POWERED = cluster(device("x", idle_w=2, busy_w=5, carbon_g_per_kwh=360_000, battery_j=100))
"""6 s at 5 W: 30 J and, at 0.1 g a joule, 3 g."""


@pytest.mark.parametrize(("grams", "broken"), [(2.9, True), (3.1, False)])
def test_carbon(grams: float, broken: bool):
    made = plan(pipeline(1, 1, stage("a b", {"x": 1})), job={"carbon_budget_g": grams})
    found = score(made, TINY, POWERED).violations
    assert [(v.limit, v.allowed, v.unit) for v in found] == [("carbon", grams, "g")] * broken
    assert [v.given for v in found] == pytest.approx([3.0] * broken)


@pytest.mark.parametrize(("steps", "broken"), [(3, False), (4, True)])
def test_battery(steps: int, broken: bool):
    """100 J last for three steps of 30 J."""
    made = plan(pipeline(1, 1, stage("a b", {"x": 1})), job={"steps": steps})
    found = score(made, TINY, POWERED).violations
    assert [(v.limit, v.where, v.given, v.allowed) for v in found] == [("battery", "x", 120, 100)] * broken
    assert all("empty after 3 steps" in v.message for v in found)


@pytest.mark.parametrize(("given", "allowed", "excess"), [(15, 10, 0.5), (0, 0, 1.0)])
def test_excess_is_relative_to_the_limit(given: float, allowed: float, excess: float):
    assert Violation("energy", "", given, allowed, "J", "").excess == excess


def test_of_what_may_not_be_at_all_less_is_nearer():
    few, many = (Violation("trust", "", given, 0, "bytes", "").excess for given in (10, 1000))
    assert 1 < few < many


def test_modality_is_told_once_per_block_and_device():
    tiny = workload(block("a", data={"name": "camera"}), block("b"))
    boards = cluster(device("x", data=["camera"]), "y")
    twice = [pipeline(1, 1, stage("a b", {"y": 1}))] * 2
    report = score(plan(*twice), tiny, boards)
    assert [(v.limit, v.where) for v in report.violations] == [("modality", "a@y")]


@pytest.mark.parametrize("hertz", [5, 5.5])
def test_spectrum(hertz: float):
    """10 Hz to share out: 5 + 5 are in order, 5 + 5.5 are not."""
    radio = {"bandwidth_hz": 10, "noise_w_per_hz": 1, "gain": {"x": 1, "y": 1}, "tx_power_w": 1}
    net = {"name": "air", "members": ["x", "y"], "bandwidth_bytes_per_s": 1, "spectrum": radio}
    made = plan(
        pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
        devices={"x": {"bandwidth_hz": 5}, "y": {"bandwidth_hz": hertz}},
    )
    report = score(made, TINY, cluster("x", "y", segments=[net]))
    found = [(v.limit, v.where, v.given, v.allowed, v.unit) for v in report.violations]
    assert found == ([] if hertz == 5 else [("spectrum", "air", 10.5, 10, "Hz")])


def test_resources_a_device_does_not_have():
    tiny = workload(block("a", resources={"gpu": 1, "ram": 3}))
    made = plan(pipeline(1, 1, stage("a", {"x": 1}, instances={"x": 2})), job={"kind": "serve"})
    report = score(made, tiny, cluster(device("x", resources={"ram": 6})))
    assert [(v.where, v.given, v.allowed) for v in report.violations] == [("x.gpu", 2, 0)]


def test_training_takes_no_named_resources():
    tiny = workload(block("a", resources={"gpu": 1}))
    assert score(plan(pipeline(1, 1, stage("a", {"x": 1}))), tiny, cluster("x")).violations == ()
