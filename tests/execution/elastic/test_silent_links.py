"""A link that goes silent while both its ends live and beat: one of them is given up, soon, for a time."""

from __future__ import annotations

import math

import pytest

from solver.execution.elastic.silent_links import BARRED_S, GATHER_S, SilentLinks
from solver.execution.elastic.strikes import Strike
from solver.execution.elastic.traffic import OVERDUE_S, Due, Traffic
from tests.execution.elastic.test_faults import chain, train


def test_training_goes_on_without_one_end_of_a_silent_link() -> None:
    strike = Strike(2, "a", "link", back_after=None, delay_s=0.1, peer="b")
    result, _ = train(chain(optimizer="adamw", precision="fp64"), strike, steps=6)
    (change,) = result.story.changes
    (event,) = change.events
    assert event.device in ("a", "b")
    other = "b" if event.device == "a" else "a"
    assert event.reason == f"its link to {other} is silent"
    assert result.story.devices_alive == [3, 3, 2, 2, 2, 2]
    assert result.max_relative_weight_difference is not None
    assert result.max_relative_weight_difference <= 1e-9


def test_the_end_that_is_missed_least_is_given_up() -> None:
    links = SilentLinks()
    links.note("a", "b", 10.0)
    steps = {"a": 2.0, "b": 3.0}
    assert links.worst(10.0 + GATHER_S / 2, steps, steps.__getitem__) is None
    assert links.worst(10.0 + GATHER_S, steps, steps.__getitem__) == ("a", ["b"])
    assert links.worst(10.0 + GATHER_S, steps, {"a": math.inf, "b": 3.0}.__getitem__) == ("b", ["a"])
    assert links.worst(10.0 + GATHER_S, ["a"], steps.__getitem__) is None
    links.forget()
    assert links.worst(20.0, steps, steps.__getitem__) is None


def test_a_device_that_lost_several_links_is_given_up_whatever_it_costs() -> None:
    links = SilentLinks()
    links.note("a", "b", 0.0)
    links.note("c", "a", 0.1)
    assert links.worst(1.0, "abc", {"a": 9.0, "b": 1.0, "c": 1.0}.__getitem__) == ("a", ["b", "c"])


def test_a_device_stays_away_twice_as_long_every_time() -> None:
    links = SilentLinks()
    links.bar("a", 0.0)
    assert links.is_barred("a", BARRED_S - 0.1)
    assert not links.is_barred("a", BARRED_S)
    links.bar("a", 100.0)
    assert links.is_barred("a", 100.0 + 2 * BARRED_S - 0.1)
    links.pardon()
    assert not links.is_barred("a", 100.0)


def test_a_message_is_overdue_only_while_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("solver.execution.elastic.traffic.time.monotonic", lambda: clock[0])
    traffic, work, later = Traffic(), object(), object()
    traffic.posted("b", 7, work)
    traffic.posted("b", 7, later)
    clock[0] = 2 * OVERDUE_S
    assert traffic.overdue() == []
    with traffic.waiting(work):
        pass
    with traffic.waiting(later):
        assert traffic.overdue() == []
        clock[0] += 1.1 * OVERDUE_S
        assert traffic.overdue() == [Due("b", 7, 2)]
    assert traffic.overdue() == []


def test_a_sender_owns_up_to_what_it_sent_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("solver.execution.elastic.traffic.time.monotonic", lambda: clock[0])
    traffic = Traffic()
    assert not traffic.has_long_sent("a", 3, 1)
    traffic.sent("a", 3)
    assert not traffic.has_long_sent("a", 3, 1)
    clock[0] = 1.1 * OVERDUE_S
    assert traffic.has_long_sent("a", 3, 1)
    assert not traffic.has_long_sent("a", 3, 2)
    traffic.sent("a", 3)
    assert traffic.has_long_sent("a", 3, 1)
    assert not traffic.has_long_sent("a", 3, 2)
