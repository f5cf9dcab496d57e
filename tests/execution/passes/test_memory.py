from __future__ import annotations

from solver.execution.passes.memory import Meter


def test_what_is_held_twice_counts_once_until_released_twice() -> None:
    meter = Meter()
    meter.hold("x", 10)
    meter.hold("x", 10)
    meter.hold("y", 5)
    assert meter.held_bytes == 15
    assert meter.release("x") == 0
    assert meter.release_all(["x", "y"]) == 15
    assert (meter.held_bytes, meter.peak_bytes) == (0, 15)


def test_peak_sees_nameless_bytes() -> None:
    meter = Meter()
    meter.hold("x", 10)
    meter.take(7)
    meter.take(-7)
    assert (meter.held_bytes, meter.peak_bytes) == (10, 17)
