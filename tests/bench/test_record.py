"""Better scores become the best known; bounds only those of solvers that a person names."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.bench.record import record_best
from solver.suites import known
from solver.suites.known import Known
from tests.bench.lines import line


def test_scores_are_recorded_and_bounds_only_if_named(tmp_path: Path) -> None:
    lines = [
        line("one", "a", 2.0, bound=1.0),
        line("one", "b", 3.0, bound=2.5),  # of a space that does not hold the plan of a
        line("two", "a", status="FAILED"),
        line("three", "a", bound=1.0),
    ]
    assert record_best(tmp_path, lines, ("a",)) == ("one", "three")
    found = known.load(tmp_path)
    assert (found["one"].score, found["one"].bound) == (2.0, 1.0)
    assert "partage bench, a, 10 s, seed 0" in found["one"].source
    assert (found["three"].score, found["three"].bound) == (None, 1.0)
    assert record_best(tmp_path, lines, ("a",)) == ()


def test_a_bound_above_a_known_score_is_a_fault(tmp_path: Path) -> None:
    known.update(tmp_path, {"one": Known(score=2.0, source="x")})
    with pytest.raises(InputError, match=r"bound 2\.5 is above score 2\.0"):
        record_best(tmp_path, [line("one", "b", 3.0, bound=2.5)], ("b",))
    assert known.load(tmp_path)["one"].bound is None


def test_a_bound_equal_to_its_score_up_to_rounding_is_recorded_as_equal(tmp_path: Path) -> None:
    record_best(tmp_path, [line("one", "a", 2.0, bound=2.0 * (1 + 1e-12))], ("a",))
    assert known.load(tmp_path)["one"].bound == 2.0
