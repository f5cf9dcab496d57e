"""The suite `edge` is drawn as it says, and its frozen files are what the generator writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from experiments.edge_suite import problem_files, run, slots
from models.formats.edge import read_edge
from solver.suites.edge import FOLDER

SLOTS = slots()


def test_every_choice_is_made_thirty_times_and_every_regime_fifteen() -> None:
    assert Counter(slot.regime for slot in SLOTS) == dict.fromkeys(("gigabit", "slow", "mixed", "rooms"), 15)
    for word in ("real", "catalogue", "tight"):
        assert Counter(getattr(slot, word) for slot in SLOTS) == {True: 30, False: 30}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"{slot.regime}{slot.number}")
def test_the_generator_writes_the_frozen_bytes(slot: object) -> None:
    name, files = problem_files(slot)
    frozen = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / name).iterdir()}
    assert files == frozen


def test_half_of_the_problems_have_six_devices_at_most_ten_of_them_of_the_catalogue() -> None:
    found = [read_edge(path) for path in FOLDER.glob("*/problem.json")]
    small = [item for item in found if len(item.cluster.devices) <= 6]
    assert len(found) == 60 and len(small) >= 30
    assert sum(item.problem.boards == "catalogue" for item in small) >= 10
    assert {len(item.cluster.devices) for item in found} <= set(range(4, 17))
    assert all(12 <= len(item.workload.blocks) <= 96 for item in found)


def test_quick_writes_one_problem_of_each_regime(tmp_path: Path) -> None:
    run(tmp_path, quick=True)
    assert len(list(tmp_path.glob("*/problem.json"))) == 4
