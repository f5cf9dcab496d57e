"""Suites of measured runs are found by looking in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.validation import catalog


def test_files_are_suites_and_helpers_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_FOLDER", tmp_path)
    for stem in ("two_words", "_helper", "__init__"):
        (tmp_path / f"{stem}.py").touch()
    assert catalog.names() == ("two-words",)


def test_unknown_suite_is_refused_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_FOLDER", tmp_path)
    (tmp_path / "sailor.py").touch()
    with pytest.raises(InputError, match="no suite is called 'sailer'; did you mean sailor"):
        catalog.load("sailer")
