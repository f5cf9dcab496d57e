from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from models.errors import InputError
from solver.execution.trace import DeviceTrace, Trace

DEVICE = DeviceTrace(10, 4, (0.5,), {"b": 8}, ())
TRACE = Trace(
    {}, "raw", 1.0, 0, None, (1.0, math.nan), (), (0.7,), ((0.0, None),), ((0.1, None),), {"a": DEVICE}
)


def test_is_written_once_as_valid_json(tmp_path: Path) -> None:
    TRACE.write(tmp_path / "trace.json")
    data = json.loads((tmp_path / "trace.json").read_text())
    assert data["losses"] == [1.0, None]
    assert data["devices"]["a"]["sent_bytes"] == {"b": 8}
    with pytest.raises(InputError, match="exists"):
        TRACE.write(tmp_path / "trace.json")
    TRACE.write(tmp_path / "trace.json", overwrite=True)
