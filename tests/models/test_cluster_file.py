"""Cluster files: devices written as a card and what differs from it, and variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import catalog
from models.cluster import Cluster
from models.errors import InputError

SWITCH = "segments:\n  - {name: s, members: [a, b], bandwidth_bytes_per_s: 100, latency_s: 1}\n"
PLAIN = "{name: b, flop_per_s: {fp32: 1}, memory_bytes: 1}"


def write(folder: Path, *devices: str, rest: str = SWITCH, name: str = "mine.yaml") -> Path:
    listed = "".join(f"  - {device}\n" for device in devices)
    (folder / name).write_text(f"name: mine\ndevices:\n{listed}{rest}")
    return folder / name


def load(folder: Path, *devices: str, rest: str = SWITCH) -> Cluster:
    return catalog.cluster(str(write(folder, *devices, rest=rest)))


def faults_of(path: Path) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        catalog.cluster(str(path))
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_card_gives_the_fields_and_the_kind(tmp_path: Path) -> None:
    board = load(tmp_path, "{name: a, card: jetson_tx2}", PLAIN).by_name["a"]
    assert board == catalog.device("jetson_tx2").model_copy(update={"name": "a"})
    assert board.kind == "jetson_tx2"


def test_a_device_without_card_is_taken_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, PLAIN, rest="").by_name["b"].memory_bytes.value == 1


def test_own_words_go_before_the_card(tmp_path: Path) -> None:
    board = load(tmp_path, "{name: a, card: jetson_tx2, radio_w: 0.9, data: [camera]}", PLAIN).by_name["a"]
    assert (board.radio_w.value, board.data) == (0.9, ("camera",))


def test_a_power_mode_is_applied(tmp_path: Path) -> None:
    board = load(tmp_path, "{name: a, card: jetson_nano, power_mode: 5w}", PLAIN).by_name["a"]
    mode = catalog.device("jetson_nano").power_modes["5w"]
    assert (board.flop_per_s["fp32"], board.busy_w) == (mode.flop_per_s["fp32"], mode.busy_w)


def test_own_words_go_before_the_power_mode(tmp_path: Path) -> None:
    board = load(tmp_path, "{name: a, card: jetson_nano, power_mode: 5w, busy_w: 9}", PLAIN).by_name["a"]
    assert board.busy_w.value == 9
    assert board.flop_per_s["fp32"] == catalog.device("jetson_nano").power_modes["5w"].flop_per_s["fp32"]


def test_all_power_modes_stay_for_plans_to_name(tmp_path: Path) -> None:
    board = load(tmp_path, "{name: a, card: jetson_nano, power_mode: 5w}", PLAIN).by_name["a"]
    assert set(board.power_modes) == {"5w", "10w"}


def test_a_device_without_card_may_have_a_power_mode(tmp_path: Path) -> None:
    modes = "power_modes: {low: {flop_per_s: {fp32: 3}, busy_w: 1}}"
    own = f"{{name: a, power_mode: low, flop_per_s: {{fp32: 9}}, memory_bytes: 1, {modes}}}"
    assert load(tmp_path, own, PLAIN).by_name["a"].busy_w.value == 1


def test_an_unknown_card_is_a_fault_with_the_nearest_names(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path, PLAIN, "{name: a, card: jetson_nanoo}"))
    assert set(found) == {"devices.1.card"}
    assert "jetson_nano" in found["devices.1.card"]


@pytest.mark.parametrize("word", ["3", "[jetson_nano]", "null"])
def test_a_card_that_is_no_name_is_a_fault(tmp_path: Path, word: str) -> None:
    assert set(faults_of(write(tmp_path, f"{{name: a, card: {word}}}", PLAIN))) == {"devices.0.card"}


def test_an_unknown_power_mode_is_a_fault_that_lists_the_modes(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path, "{name: a, card: jetson_nano, power_mode: 15w}", PLAIN))
    assert "10w, 5w" in found["devices.0.power_mode"]


@pytest.mark.parametrize("word", ["10", "[5w]", "{a: 1}"])
def test_a_power_mode_that_is_no_name_is_a_fault(tmp_path: Path, word: str) -> None:
    found = faults_of(write(tmp_path, f"{{name: a, card: jetson_nano, power_mode: {word}}}", PLAIN))
    assert set(found) == {"devices.0.power_mode"}


def test_a_power_mode_where_there_is_none_is_a_fault(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path, "{name: a, card: raspberry_pi_4, power_mode: fast}", PLAIN))
    assert "has none" in found["devices.0.power_mode"]


def test_own_words_that_contradict_the_power_mode_are_a_fault(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path, "{name: a, card: jetson_nano, power_mode: 5w, idle_w: 6}", PLAIN))
    assert set(found) == {"devices.0.power_modes.5w.busy_w"}


def test_a_device_needs_its_own_name(tmp_path: Path) -> None:
    assert "devices.0.name" in faults_of(write(tmp_path, "{card: jetson_nano}", PLAIN))


@pytest.mark.parametrize("number", ["-1", ".nan", ".inf"])
def test_an_impossible_number_is_a_fault(tmp_path: Path, number: str) -> None:
    found = faults_of(write(tmp_path, f"{{name: a, card: jetson_nano, overhead_s: {number}}}", PLAIN))
    assert set(found) == {"devices.0.overhead_s.value"}


def test_all_faults_of_a_file_are_listed_at_once(tmp_path: Path) -> None:
    found = faults_of(
        write(
            tmp_path,
            "{name: a, card: jetson_nano, idle_w: -1, power_mode: 99w, colour: green}",
            "{name: b, card: jetson_nono}",
            "{name: b, flop_per_s: {fp32: 0}, memory_bytes: 1}",
            "just words",
            rest="segments:\n  - {name: s, members: [a, x], bandwidth_bytes_per_s: 1}\n",
        )
    )
    assert set(found) == {
        "devices.0.power_mode",
        "devices.0.idle_w.value",
        "devices.0.colour",
        "devices.1.card",
        "devices.2.flop_per_s.fp32",
        "devices.3",
        "devices.2.name",
        "segments.0.members.1",
    }


@pytest.mark.parametrize("text", ["", "3", "name: mine", "name: mine\ndevices: 3", "name: mine\ndevices: []"])
def test_a_file_without_devices_is_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert set(faults_of(tmp_path / "mine.yaml")) <= {"", "devices"}


def variant(folder: Path, text: str) -> Path:
    write(folder, "{name: a, card: jetson_nano}", PLAIN, name="other.yaml")
    (folder / "mine.yaml").write_text(f"name: slow\nextends: ./other.yaml\n{text}")
    return folder / "mine.yaml"


def test_a_variant_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = variant(tmp_path, "segments: [{name: s, bandwidth_bytes_per_s: 10}]")
    other, mine = catalog.cluster(str(tmp_path / "other.yaml")), catalog.cluster(str(path))
    changed = other.segments[0].model_copy(update={"bandwidth_bytes_per_s": 10.0})
    assert mine == other.model_copy(update={"name": "slow", "segments": (changed,)})


def test_links_of_a_variant_have_the_new_rate(tmp_path: Path) -> None:
    path = variant(tmp_path, "segments: [{name: s, bandwidth_bytes_per_s: 10, latency_s: 2}]")
    assert catalog.cluster(str(path)).link("a", "b")[:2] == (10, 2)


def test_a_variant_may_extend_a_cluster_of_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: four_boards\ndescription: ours\n")
    mine = catalog.cluster(str(tmp_path / "mine.yaml"))
    assert mine.devices == catalog.cluster("four_boards").devices
    assert mine.description == "ours"


def test_a_variant_of_an_unknown_segment_is_a_fault(tmp_path: Path) -> None:
    found = faults_of(variant(tmp_path, "segments: [{name: s}, {name: x, latency_s: 1}]"))
    assert set(found) == {"segments.1.name"}


def test_all_faults_of_a_variant_are_listed_at_once(tmp_path: Path) -> None:
    found = faults_of(
        variant(tmp_path, "devices: []\nsegments: [{name: s, bandwidth_bytes_per_s: -1, latency_s: .nan}]")
    )
    assert set(found) == {"devices", "segments.0.bandwidth_bytes_per_s", "segments.0.latency_s"}


def test_a_variant_of_an_unknown_cluster_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: four_bords\n")
    assert "four_boards" in faults_of(tmp_path / "mine.yaml")["extends"]


def test_a_variant_of_a_broken_cluster_shows_its_faults(tmp_path: Path) -> None:
    path = variant(tmp_path, "")
    write(tmp_path, "{name: a, card: nothing}", PLAIN, name="other.yaml")
    assert "devices.0.card" in faults_of(path)["extends"]


def test_a_variant_of_itself_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: mine.yaml\n")
    assert "itself extends" in faults_of(tmp_path / "mine.yaml")["extends"]
