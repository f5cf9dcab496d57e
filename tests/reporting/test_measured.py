import pytest

from solver.reporting.measured import Measured
from tests.reporting.cases import example, measured


def test_median_and_spread_of_the_step_times() -> None:
    found = Measured(mode="padded", step_times_s=(1.0, 3.0, 2.0))
    assert found.step_time_s == 2.0
    assert found.step_time_cv == pytest.approx((2 / 3) ** 0.5 / 2)


def test_largest_relative_loss_difference() -> None:
    found = Measured(mode="raw", losses=(2.0, 1.1), reference_losses=(2.0, 1.0))
    assert found.max_relative_loss_difference == pytest.approx(0.1)


def test_nothing_measured_is_none() -> None:
    found = Measured(mode="raw")
    assert (found.step_time_s, found.step_time_cv, found.max_relative_loss_difference) == (None, None, None)
    assert found.total_traffic_bytes is None


def test_busy_time_counts_computations() -> None:
    _, _, _, report = example()
    busy = measured(report).busy_s(report.program)
    assert busy == pytest.approx({name: 1.02 * value for name, value in report.busy_s.items()}, rel=2e-3)
