"""The same workers under torch's launcher, two processes on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solver.execution import torchrun
from tests.execution import plans

ROOT = Path(__file__).resolve().parents[2]


def test_two_processes_train_as_the_undivided_run(tmp_path: Path) -> None:
    cluster = plans.cluster("a", "b")
    (tmp_path / "test.json").write_text(cluster.model_dump_json())
    data = plans.chain_plan().model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "plan.json").write_text(json.dumps({**data, "cluster": {"name": "./test.json"}}))
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words += ["-m", "solver.execution.torchrun", str(tmp_path / "plan.json"), "--steps", "2"]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "run")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["max_relative_weight_difference"] <= 1e-6
    assert found["traffic_bytes"]["predicted"] == found["traffic_bytes"]["measured"]
    assert json.loads((tmp_path / "run" / "trace.json").read_text())["mode"] == "raw"


def test_without_a_launcher_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    (tmp_path / "test.json").write_text(plans.cluster("a", "b").model_dump_json())
    data = plans.chain_plan().model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "plan.json").write_text(json.dumps({**data, "cluster": {"name": "./test.json"}}))
    assert torchrun.main([str(tmp_path / "plan.json")]) == 2
    assert "RANK" in capsys.readouterr().err
