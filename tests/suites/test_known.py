"""Best known values: read with every fault, and only ever replaced by better ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import InputError
from solver.suites import known
from solver.suites.case import Case
from solver.suites.known import Known


def test_a_folder_without_a_file_knows_nothing(tmp_path: Path) -> None:
    assert known.load(tmp_path) == {}


def test_better_values_replace_worse_ones_and_keep_their_sources(tmp_path: Path) -> None:
    known.update(tmp_path, {"a": Known(score=3.0, bound=1.0, source="paper")})
    assert known.update(tmp_path, {"a": Known(score=3.5, bound=0.5, source="worse")}) == ()
    assert known.load(tmp_path)["a"] == Known(score=3.0, bound=1.0, source="paper")
    assert known.update(tmp_path, {"a": Known(score=2.0, source="x"), "b": Known(bound=1, source="y")}) == (
        "a",
        "b",
    )
    assert known.load(tmp_path) == {
        "a": Known(score=2.0, bound=1.0, source="x; bound: paper"),
        "b": Known(score=None, bound=1.0, source="y"),
    }
    known.update(tmp_path, {"a": Known(bound=2.0, source="proof")})
    assert known.load(tmp_path)["a"] == Known(score=2.0, bound=2.0, source="x; bound: proof")


def test_what_was_missing_is_added(tmp_path: Path) -> None:
    known.update(tmp_path, {"a": Known(score=3.0, source="x"), "b": Known(bound=1.0, source="y")})
    known.update(tmp_path, {"a": Known(bound=2.0, source="proof"), "b": Known(score=4.0, source="run")})
    found = known.load(tmp_path)
    assert (found["a"].score, found["a"].bound) == (3.0, 2.0)
    assert (found["b"].score, found["b"].bound) == (4.0, 1.0)


def test_a_difference_of_rounding_is_no_improvement(tmp_path: Path) -> None:
    known.update(tmp_path, {"a": Known(score=3.0, bound=3.0, source="paper")})
    assert known.update(tmp_path, {"a": Known(score=3.0 * (1 - 1e-12), source="rounding")}) == ()


def test_a_score_below_a_proven_bound_is_a_fault_and_nothing_is_written(tmp_path: Path) -> None:
    known.update(tmp_path, {"a": Known(score=3.0, bound=3.0, source="proof")})
    before = (tmp_path / known.NAME).read_bytes()
    with pytest.raises(InputError, match=r"a: bound 3\.0 is above score 2\.0"):
        known.update(tmp_path, {"b": Known(score=1.0, source="x"), "a": Known(score=2.0, source="lie")})
    assert (tmp_path / known.NAME).read_bytes() == before


def test_every_fault_of_the_file_is_listed(tmp_path: Path) -> None:
    data = {
        "a": {"score": "fast", "source": ""},
        "b": {"score": 1.0, "bound": 2.0, "source": "x"},
        "c": {"score": 1.0, "bond": 0.5, "source": "x"},
    }
    (tmp_path / known.NAME).write_text(json.dumps(data))
    with pytest.raises(InputError) as raised:
        known.load(tmp_path)
    assert [fault.path for fault in raised.value.faults] == ["a.score", "b", "c.bond"]
    (tmp_path / known.NAME).write_text("[1]")
    with pytest.raises(InputError, match="needs an object"):
        known.load(tmp_path)
    (tmp_path / known.NAME).write_text('{"a": ')
    with pytest.raises(InputError, match="not valid JSON"):
        known.load(tmp_path)


def test_cases_are_filled_by_name(tmp_path: Path) -> None:
    cases = (Case("s", "one", "p", "v", {"k": 8}), Case("s", "two", "p"))
    known.update(tmp_path, {"one:v:k=8": Known(score=2.0, bound=1.5, source="x")})
    first, second = known.filled(cases, tmp_path)
    assert (first.best_known, first.known_bound) == (2.0, 1.5)
    assert (second.best_known, second.known_bound) == (None, None)
