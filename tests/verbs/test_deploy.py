"""``partage deploy``: one JSON document, refusals, and nothing left of a broken call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import InputError
from solver.cli import app
from solver.phases.own_cluster import write_cluster
from tests.execution import plans


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    write_cluster(tmp_path / "two.yaml", plans.cluster("a", "b"))
    document = json.loads(plans.chain_plan().to_json()) | {"cluster": {"name": "./two.yaml"}}
    (tmp_path / "plan.json").write_text(json.dumps(document))
    return tmp_path / "plan.json"


def test_json_is_one_document(plan: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["deploy", str(plan), "--out", str(tmp_path / "out"), "--from", "b", "--json"]
    )
    found = json.loads(done.stdout)
    assert (found["source"], found["devices"]["b"]["there_s"]) == ("b", 0)
    assert found["moved_bytes"] == found["devices"]["a"]["weight_bytes"]
    assert (tmp_path / "out" / "a" / "program.tsv").read_text().startswith("index\twhat\tmicro_batch")


def test_a_folder_that_exists_is_not_replaced(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    error = CliRunner().invoke(app, ["deploy", str(plan), "--out", str(tmp_path / "out")]).exception
    assert isinstance(error, InputError) and "--force" in str(error)


def test_a_device_without_room_is_told(plan: Path, tmp_path: Path) -> None:
    text = (tmp_path / "two.yaml").read_text()
    (tmp_path / "two.yaml").write_text(
        text.replace("value: 10000000000.0\n  memory_bytes_per_s", "value: 1000000.0\n  memory_bytes_per_s")
    )
    error = CliRunner().invoke(app, ["deploy", str(plan), "--out", str(tmp_path / "out")]).exception
    assert isinstance(error, InputError)
    assert [fault.path for fault in error.faults] == ["a", "b"]
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_where_it_breaks(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.name == "program.tsv":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr("solver.execution.state.writer.write_synced", full)
    error = CliRunner().invoke(app, ["deploy", str(plan), "--out", str(tmp_path / "out")]).exception
    assert isinstance(error, InputError) and "No space left" in str(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "two.yaml"]
