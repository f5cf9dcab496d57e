"""Suites are found by looking in the folder, or by the path of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.suites import catalog

GOOD = '''"""tiny: nothing."""
UNIT, FOLDER = "s", "."
def cases(folder): ...
def problem(case): ...
def document(case, plan, score): ...
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalog, "_FOLDER", tmp_path)
    (tmp_path / "two_words.py").write_text("raise RuntimeError('broken on purpose')")
    (tmp_path / "_helper.py").write_text("")
    (tmp_path / "known.py").write_text("")
    return tmp_path


def test_helpers_are_no_suites_and_names_have_hyphens(folder: Path) -> None:
    assert catalog.names() == ("two-words",)


def test_a_broken_suite_is_listed_with_its_error(folder: Path) -> None:
    (entry,) = catalog.entries()
    assert entry.name == "two-words" and entry.error


def test_an_unknown_suite_names_the_nearest(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no suite is called 'two-word'; did you mean two-words\?"):
        catalog.load("two-word")


def test_a_suite_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(GOOD)
    assert catalog.load(str(tmp_path / "tiny.py")).UNIT == "s"
    (tmp_path / "tiny.py").write_text(GOOD.replace("def document", "def other"))
    with pytest.raises(InputError, match="lacks document"):
        catalog.load(str(tmp_path / "tiny.py"))
    with pytest.raises(InputError, match="there is no file"):
        catalog.load(str(tmp_path / "none.py"))
    (tmp_path / "tiny.py").write_text("1 / 0")
    with pytest.raises(InputError, match="is broken: ZeroDivisionError"):
        catalog.load(str(tmp_path / "tiny.py"))
