"""Renewals: which steps renew which copies, and how often."""

from __future__ import annotations

import pytest

from solver.lowering.renewals import fullest_step, is_due, kinds_of_steps
from solver.plan import Plan
from tests.execution import plans


def renewed(*periods: int, every: int = 1) -> Plan:
    """A plan with a backup for each period."""
    backup = [
        {"stage": [0, i % 2], "on": "b" if i % 2 == 0 else "a", "every": n} for i, n in enumerate(periods)
    ]
    sync = {"every": every, "topology": "star", "server": "a"} if every > 1 else {}
    return plans.chain_plan(backup=backup, sync=sync)


def test_steps_are_of_one_kind_where_all_copies_are_renewed_in_every_step() -> None:
    assert kinds_of_steps(renewed()) == kinds_of_steps(renewed(1, 1)) == [(0, 1.0)]


def test_kinds_of_steps_of_two_periods() -> None:
    """Of steps 0 to 5, those of 2 are due after 1, 3, 5, those of 3 after 2 and 5."""
    found = kinds_of_steps(renewed(2, 3))
    assert [step for step, _ in found] == [0, 1, 2, 5]
    assert [part for _, part in found] == pytest.approx([2 / 6, 2 / 6, 1 / 6, 1 / 6])
    assert [[is_due(n, step) for n in (2, 3)] for step, _ in found] == [
        [False, False],
        [True, False],
        [False, True],
        [True, True],
    ]


def test_a_period_within_another_is_no_kind_of_its_own() -> None:
    assert kinds_of_steps(renewed(2, 4)) == [(0, 0.5), (1, 0.25), (3, 0.25)]


def test_a_long_period_is_no_long_work() -> None:
    assert kinds_of_steps(renewed(10**6)) == [(0, 1 - 1e-6), (10**6 - 1, 1e-6)]


def test_the_fullest_step_renews_all() -> None:
    assert fullest_step(renewed(1)) == 0
    assert fullest_step(renewed(4, 6)) == 11
    assert fullest_step(renewed(3, every=2)) == 4  # the round of the steps 4 and 5
