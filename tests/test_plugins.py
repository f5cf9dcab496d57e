"""Plug-ins: a file is loaded by its path, a wrong name gets its nearest ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.plugins import from_file, summary_of, unknown


def test_a_file_becomes_a_module_with_a_summary(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('"""mine: what it is.\n\nMore."""\n\nVALUE = 3\n')
    module = from_file("solver", tmp_path / "mine.py")
    assert module.VALUE == 3 and summary_of(module) == "mine: what it is."


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file") as found:
        from_file("suite", tmp_path / "none.py")
    assert [fault.path for fault in found.value.faults] == ["suite"]


def test_what_a_file_raises_passes(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        from_file("solver", tmp_path / "broken.py")


def test_the_nearest_names_are_told() -> None:
    assert unknown("solver", "singel", ["single", "best"]) == (
        "no solver is called 'singel'; did you mean single?"
    )
    assert unknown("suite", "xyz", ["edge"]) == "no suite is called 'xyz'"
