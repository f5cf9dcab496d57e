"""The catalogue: what lies in its folders is found, and a broken file stops nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models import catalog
from models.catalog import Kind
from models.errors import InputError

CHAIN = {"name": "chain", "blocks": [{"name": "a", "forward_flop": 1}]}
CARD = "name: board\nflop_per_s: {fp32: 1}\nmemory_bytes: 1\n"
SINGLE = "name: single\ndevices: [{name: a, card: board}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of its own with one workload, one device and one cluster."""
    for kind, file, text in (
        ("workloads", "chain.json", json.dumps(CHAIN)),
        ("devices", "board.yaml", CARD),
        ("clusters", "single.yaml", SINGLE),
    ):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / file).write_text(text)
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["workloads", "devices", "clusters"])
def test_every_file_of_the_catalogue_is_sound(kind: Kind) -> None:
    assert {entry.name: entry.error for entry in catalog.entries(kind) if entry.error} == {}


@pytest.mark.parametrize("name", ["nano_x4", "jetson_mixed", "smart_home", "two_rooms"])
def test_every_cluster_is_there_at_a_tenth_of_its_rate_too(name: str) -> None:
    fast, slow = catalog.cluster(name), catalog.cluster(f"{name}_100m")
    assert slow.devices == fast.devices
    for pair, link in fast.links_by_pair.items():
        assert slow.links_by_pair[pair].bytes_per_s == pytest.approx(link.bytes_per_s / 10)


def test_the_quickstart_cluster_is_of_four_unequal_boards() -> None:
    boards = catalog.cluster("four_boards").devices
    assert len({board.flop_per_s["fp32"].value for board in boards}) == 4


def test_the_bridge_is_the_medium_between_the_two_rooms() -> None:
    rooms = catalog.cluster("two_rooms")
    assert rooms.link("nano0", "laptop").media == ("bridge",)
    assert rooms.link("nano0", "tx2").media == ()


def test_every_message_in_the_smart_home_takes_the_access_point() -> None:
    assert {link.media for link in catalog.cluster("smart_home").links_by_pair.values()} == {("wifi",)}


def test_entries_are_found_by_looking_in_the_folder(folder: Path) -> None:
    (folder / "devices" / "another.yaml").write_text(CARD.replace("board", "another"))
    assert [entry.name for entry in catalog.entries("devices")] == ["another", "board"]


def test_a_folder_that_is_missing_is_empty(folder: Path) -> None:
    (folder / "workloads" / "chain.json").unlink()
    (folder / "workloads").rmdir()
    assert catalog.entries("workloads") == ()


def test_other_files_are_no_entries(folder: Path) -> None:
    (folder / "devices" / "README.md").write_text("")
    assert [entry.name for entry in catalog.entries("devices")] == ["board"]


def test_a_broken_file_is_listed_with_its_error_and_stops_nothing(folder: Path) -> None:
    (folder / "devices" / "broken.yaml").write_text("name: broken\nmemory_bytes: -1\n")
    board, broken = catalog.entries("devices")
    assert board.error is None
    assert broken.error is not None
    assert "memory_bytes" in broken.error
    assert "flop_per_s" in broken.error
    assert catalog.device("board").name == "board"


def test_asking_for_a_broken_file_gives_its_faults(folder: Path) -> None:
    (folder / "workloads" / "broken.json").write_text('{"name": "broken", "blocks": [')
    with pytest.raises(InputError, match="not valid JSON"):
        catalog.workload("broken")


def test_the_name_inside_is_the_name_of_the_file(folder: Path) -> None:
    (folder / "devices" / "other.yaml").write_text(CARD)
    with pytest.raises(InputError, match="name: name 'board' must be 'other'"):
        catalog.device("other")


def test_two_files_of_one_name_are_not_both_sound(folder: Path) -> None:
    (folder / "workloads" / "chain.yaml").write_text(json.dumps(CHAIN))
    assert [entry.error for entry in catalog.entries("workloads")] == [
        None,
        "name 'chain' is taken by chain.json",
    ]


def test_an_unknown_name_gets_the_nearest_names_and_a_hint() -> None:
    with pytest.raises(InputError, match=r"did you mean jetson_mixed.*`partage list clusters`"):
        catalog.cluster("jetson_mixd")


def test_an_unknown_name_like_no_other_gets_the_hint(folder: Path) -> None:
    with pytest.raises(InputError, match="no workload is called 'xyz'; `partage list workloads` shows all"):
        catalog.workload("xyz")


def test_a_catalogue_name_is_read_once(folder: Path) -> None:
    assert catalog.workload("chain") is catalog.workload("chain")


def test_a_path_is_read_every_time(folder: Path) -> None:
    path = folder / "mine.json"
    path.write_text(json.dumps(CHAIN))
    before = catalog.workload(str(path))
    path.write_text(json.dumps({**CHAIN, "description": "changed"}))
    assert (before.description, catalog.workload(str(path)).description) == ("", "changed")


def test_a_path_is_relative_to_its_base(folder: Path) -> None:
    (folder / "plans").mkdir()
    (folder / "mine.json").write_text(json.dumps(CHAIN))
    assert catalog.workload("../mine.json", folder / "plans").name == "chain"


def test_a_path_is_relative_to_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.yaml").write_text(SINGLE)
    monkeypatch.chdir(folder)
    assert catalog.cluster("mine.yaml").name == "single"


def test_the_file_behind_a_path_may_have_any_name(folder: Path) -> None:
    (folder / "mine.yml").write_text(SINGLE)
    assert catalog.cluster("./mine.yml", folder).name == "single"


def test_a_path_to_nothing_is_a_fault(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        catalog.workload("nothing.json", folder)


def test_the_error_of_a_file_names_the_file(folder: Path) -> None:
    (folder / "mine.json").write_text(json.dumps({**CHAIN, "edges": [{"source": "a", "target": "x"}]}))
    with pytest.raises(InputError, match=r"mine\.json cannot be used \(1 fault\)"):
        catalog.workload("mine.json", folder)
