"""Reader of the suite `edge`: what it reads, and how it lists what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import models
from models.errors import InputError
from models.formats.edge import read_edge

FOLDER = Path(models.__file__).parent / "formats" / "instances" / "edge"
DRAWN = sorted(path.parent for path in FOLDER.glob("*/workload.json"))[0]
CARD = sorted(set(path.parent for path in FOLDER.glob("*/problem.json")) - {DRAWN})[0]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DRAWN, tmp_path / DRAWN.name)) / "problem.json"


def change(path: Path, **words: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


def faults(path: Path) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        read_edge(path)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_problem_with_its_own_workload_and_one_with_a_card_are_read() -> None:
    own = read_edge(DRAWN / "problem.json")
    card = next(
        item
        for item in map(read_edge, sorted(FOLDER.glob("*/problem.json")))
        if item.problem.workload.name != "workload.json"
    )
    assert own.workload.is_chain and own.workload.name in own.problem.name
    assert card.workload.name == card.problem.workload.name


def test_every_fault_of_the_file_is_listed(copied: Path) -> None:
    change(copied, regime="fast", num_micro_batches=0, job={"batch": "many"}, extra=1)
    assert set(faults(copied)) == {"regime", "num_micro_batches", "job.batch", "extra"}


def test_faults_of_workload_cluster_and_problem_are_listed_together(copied: Path) -> None:
    job = {"batch": 7, "tune": "lora"}
    change(copied, job=job, num_micro_batches=2)
    change(copied.parent / "cluster.json", devices=[])
    workload = json.loads((copied.parent / "workload.json").read_text())
    workload["blocks"][1]["forward_flop"] = -1
    (copied.parent / "workload.json").write_text(json.dumps(workload))
    found = faults(copied)
    assert {"num_micro_batches", "job.lora_rank", "cluster.json:devices"} <= set(found)
    assert "workload.json:blocks.1.forward_flop" in found


def test_a_changed_file_is_a_fault(copied: Path) -> None:
    cluster = json.loads((copied.parent / "cluster.json").read_text())
    cluster["devices"][0]["memory_bytes"]["value"] += 1
    (copied.parent / "cluster.json").write_text(json.dumps(cluster))
    assert "has changed" in faults(copied)["cluster.sha256"]


def test_a_missing_or_truncated_file_is_a_fault(copied: Path) -> None:
    (copied.parent / "cluster.json").write_text((copied.parent / "cluster.json").read_text()[:-20])
    (copied.parent / "workload.json").unlink()
    assert set(faults(copied)) == {"workload.json", "cluster.json"}
    copied.write_text("")
    assert "not valid JSON" in faults(copied)[""]


@pytest.mark.parametrize("name", ["../other/cluster.json", "four_boards", "/etc/passwd"])
def test_a_cluster_lies_beside_its_problem(copied: Path, name: str) -> None:
    change(copied, cluster={"name": name, "sha256": "0" * 64})
    assert "not allowed" in faults(copied)["cluster.name"]


def test_an_unknown_card_is_a_fault(copied: Path) -> None:
    change(copied, workload={"name": "bert_bass", "sha256": "0" * 64})
    assert "bert_base" in faults(copied)["bert_bass"]


def test_a_chain_that_does_not_fit_together_is_a_fault(copied: Path) -> None:
    stages = json.loads(copied.read_text())["fits"]
    first, last = stages[0], stages[-1]
    wrong = [
        {**first, "device": "nobody"},
        {**last, "first": first["end"] + 1, "end": first["end"] + 2},
    ]
    change(copied, fits=wrong)
    assert set(faults(copied)) == {"fits.0.device", "fits.1.first", "fits"}
