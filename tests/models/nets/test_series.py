"""Reader of time series files."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from models.nets.series import read_ts

HEAD = "# a comment\n@problemName tiny\n@data\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.ts"
    path.write_text(text)
    return path


def test_cases_dimensions_labels(tmp_path: Path) -> None:
    found = read_ts(write(tmp_path, HEAD + "1,2,3:4,5,6:run\n\n7,8,9:0,-1,.5:rest\n"))
    assert found.series.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, -1, 0.5]]]
    assert found.labels == ("run", "rest")


def test_every_bad_line_is_listed(tmp_path: Path) -> None:
    text = HEAD + "1,2:3,4:run\n1,2:3:run\n1,x:3,4:run\n"
    with pytest.raises(InputError) as caught:
        read_ts(write(tmp_path, text))
    assert [fault.path for fault in caught.value.faults] == ["line 5", "line 6"]


def test_no_cases(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cases"):
        read_ts(write(tmp_path, HEAD))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_ts(tmp_path / "nowhere.ts")
