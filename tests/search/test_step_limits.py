"""Step limits: the strictest of several words counts, and batteries are shared by all steps."""

from __future__ import annotations

import math

import pytest

from models.cluster import Cluster
from solver.job import Job
from solver.problem import Problem
from solver.search.step_limits import KEPT, step_limits, worth_of_joule
from tests.algorithms.boards import chain


def what(job: Job, **words: object) -> Problem:
    """Two boards, of which the first has a battery of 1000 J; 360 and 720 g CO2e per kWh."""
    board = {"flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9}
    devices = [
        {"name": "x0", "battery_j": 1000, "carbon_g_per_kwh": 360, **board},
        {"name": "x1", "carbon_g_per_kwh": 720, **board},
    ]
    net = {"name": "net", "members": ["x0", "x1"], "bandwidth_bytes_per_s": 1e9}
    cluster = Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})
    return Problem(chain(2), cluster, job, **words)


def test_without_limits_all_is_infinite() -> None:
    found = step_limits(what(Job(batch=8)))
    assert not found.is_limited
    assert math.isinf(found.step_s) and math.isinf(found.of("carbon"))


def test_the_strictest_word_counts() -> None:
    job = Job(batch=8, deadline_s=5, energy_budget_j=70, carbon_budget_g=0.5)
    found = step_limits(what(job, at_most={"time": 4, "energy": 80}))
    assert (found.step_s, found.energy_j, found.carbon_g) == (4, 70, 0.5)
    assert found.of("energy") == 70 * KEPT
    assert found.counts_joules


def test_a_battery_lasts_for_all_steps() -> None:
    """1000 J for 20 steps are 50 J each."""
    assert step_limits(what(Job(batch=8, steps=20))).device_j.tolist() == [50, math.inf]
    assert not step_limits(what(Job(batch=8))).is_limited


def test_a_joule_is_worth_the_grams_of_its_supply() -> None:
    """360 g per kWh, which is 3.6 MJ, are 1e-4 g a joule."""
    assert worth_of_joule(what(Job(batch=8)), "energy").tolist() == [1, 1]
    assert worth_of_joule(what(Job(batch=8)), "carbon").tolist() == pytest.approx([1e-4, 2e-4])
