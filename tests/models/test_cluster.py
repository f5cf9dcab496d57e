"""Devices and the network between them.

nano0 --+                          +-- tx2
        room_a ==== bridge ==== room_b            switch: --   shared medium: ====
nano1 --+  100 Mbit/s  10   100    +-- nx
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from models.cluster import Cluster, Device, Link, Segment, Spectrum
from models.document import parse, validate
from models.errors import InputError
from models.quantity import Quantity
from models.workload import Workload


def board(name: str, **words: Any) -> dict[str, Any]:
    return {"name": name, "flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9, **words}


def segment(name: str, *members: str, rate: float = 12.5e6, **words: Any) -> dict[str, Any]:
    return {
        "name": name,
        "members": list(members),
        "bandwidth_bytes_per_s": rate,
        "latency_s": 0.001,
        **words,
    }


def link(one: str, other: str, rate: float = 1e6) -> dict[str, Any]:
    return {"between": [one, other], "bandwidth_bytes_per_s": rate, "latency_s": 0.5}


def cluster(
    *devices: str, segments: tuple[dict[str, Any], ...] = (), links: tuple[dict[str, Any], ...] = ()
) -> Cluster:
    boards = [board(name) for name in devices]
    return validate(
        Cluster, {"name": "c", "devices": boards, "segments": list(segments), "links": list(links)}, "cluster"
    )


def faults_of(*devices: str, **network: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        cluster(*devices, **network)
    return {fault.path: fault.message for fault in caught.value.faults}


def two_rooms() -> Cluster:
    return cluster(
        "nano0",
        "nano1",
        "tx2",
        "nx",
        segments=(
            segment("room_a", "nano0", "nano1"),
            segment("room_b", "tx2", "nx", rate=125e6),
            segment("bridge", "room_a", "room_b", rate=1.25e6, kind="shared"),
        ),
    )


def test_a_switch_joins_at_its_rate_and_is_no_medium() -> None:
    assert cluster("a", "b", segments=(segment("s", "a", "b"),)).link("a", "b") == Link(12.5e6, 0.001)


def test_a_shared_segment_is_a_medium() -> None:
    wifi = cluster("a", "b", segments=(segment("wifi", "a", "b", kind="shared"),))
    assert wifi.link("a", "b").media == ("wifi",)


def test_a_path_over_a_bridge_has_the_least_rate_and_the_sum_of_latencies() -> None:
    found = two_rooms().link("nano0", "nx")
    assert found.bytes_per_s == 1.25e6
    assert found.latency_s == pytest.approx(0.003)
    assert found.media == ("bridge",)


def test_a_path_within_a_room_does_not_cross_the_bridge() -> None:
    assert two_rooms().link("tx2", "nx") == Link(125e6, 0.001)


def test_links_are_the_same_both_ways() -> None:
    rooms = two_rooms()
    assert rooms.link("nano0", "tx2") == rooms.link("tx2", "nano0")


def test_every_ordered_pair_has_a_link() -> None:
    assert len(two_rooms().links_by_pair) == 4 * 3


def test_a_direct_link_goes_before_segments() -> None:
    joined = cluster("a", "b", segments=(segment("s", "a", "b"),), links=(link("a", "b"),))
    assert joined.link("b", "a") == Link(1e6, 0.5)


def test_of_two_segments_the_faster_is_taken() -> None:
    both = cluster("a", "b", segments=(segment("slow", "a", "b", rate=1), segment("fast", "a", "b", rate=2)))
    assert both.link("a", "b").bytes_per_s == 2


def test_fewer_segments_go_before_a_faster_way() -> None:
    ways = (segment("one", "a", "b", rate=1), segment("x", "a", "y", rate=9), segment("y", "b", "x", rate=9))
    assert cluster("a", "b", segments=ways).link("a", "b").bytes_per_s == 1


def test_one_device_needs_no_network() -> None:
    assert cluster("a").links_by_pair == {}


def test_a_cluster_round_trips() -> None:
    rooms = two_rooms()
    assert validate(Cluster, rooms.model_dump(mode="json"), "again") == rooms


SPECTRUM = Spectrum(bandwidth_hz=2e6, noise_w_per_hz=1e-9, gain={"a": 0.03}, tx_power_w=0.1)


def test_the_rate_of_a_share_of_spectrum() -> None:
    # p h / (N0 b) = 0.1 W * 0.03 / (1e-9 W/Hz * 1e6 Hz) = 3; 1e6 Hz * log2(4) = 2e6 bit/s
    assert SPECTRUM.rate_bytes_per_s("a", 1e6) == pytest.approx(2.5e5)


def test_the_plan_may_set_the_transmit_power() -> None:
    # 0.5 W instead of 0.1 W: 15 instead of 3, log2(16) = 4
    assert SPECTRUM.rate_bytes_per_s("a", 1e6, tx_power_w=0.5) == pytest.approx(5e5)


def test_more_spectrum_is_faster_but_less_than_in_proportion() -> None:
    half, whole = (SPECTRUM.rate_bytes_per_s("a", b) for b in (1e6, 2e6))
    assert half < whole < 2 * half


def test_a_link_names_the_spectra_on_its_way() -> None:
    words: dict[str, Any] = {"kind": "shared", "spectrum": SPECTRUM.model_dump()}
    assert cluster("a", "b", segments=(segment("cell", "a", "b", **words),)).link("a", "b").spectra == (
        "cell",
    )


def test_a_gain_of_an_unknown_device_is_a_fault() -> None:
    words: dict[str, Any] = {"spectrum": {**SPECTRUM.model_dump(), "gain": {"a": 1, "x": 1}}}
    assert set(faults_of("a", "b", segments=(segment("s", "a", "b", **words),))) == {
        "segments.0.spectrum.gain.x"
    }


def test_duplicate_device_names_are_faults() -> None:
    assert set(faults_of("a", "b", "a", segments=(segment("s", "a", "b"),))) == {"devices.2.name"}


def test_a_segment_may_not_take_the_name_of_a_device() -> None:
    assert "segments.0.name" in faults_of("a", "b", segments=(segment("a", "a", "b"),))


def test_an_unknown_member_is_a_fault() -> None:
    assert "'x'" in faults_of("a", "b", segments=(segment("s", "a", "b", "x"),))["segments.0.members.2"]


def test_a_segment_in_itself_is_a_fault() -> None:
    assert set(faults_of("a", "b", segments=(segment("s", "a", "b", "s"),))) == {"segments.0.members.2"}


def test_a_link_to_an_unknown_device_is_a_fault() -> None:
    found = faults_of("a", "b", segments=(segment("s", "a", "b"),), links=(link("a", "x"),))
    assert set(found) == {"links.0.between"}


def test_a_link_to_itself_is_a_fault() -> None:
    found = faults_of("a", "b", segments=(segment("s", "a", "b"),), links=(link("a", "a"),))
    assert set(found) == {"links.0.between"}


def test_a_cluster_in_pieces_is_a_fault_that_names_the_islands() -> None:
    found = faults_of("a", "b", "c", "d", segments=(segment("s", "a", "b"), segment("t", "c", "d")))
    assert "{a, b}; {c, d}" in found["segments"]


def test_a_device_on_its_own_is_an_island() -> None:
    assert "{a, b}; {c}" in faults_of("a", "b", "c", segments=(segment("s", "a", "b"),))["segments"]


def test_devices_do_not_forward_between_segments() -> None:
    found = faults_of("a", "b", "c", segments=(segment("s", "a", "b"), segment("t", "b", "c")))
    assert "only through other devices" in found["segments"]


def test_devices_do_not_forward_between_links() -> None:
    assert "forward" in faults_of("a", "b", "c", links=(link("a", "b"), link("b", "c")))["segments"]


def test_all_faults_of_the_network_are_listed_at_once() -> None:
    found = faults_of("a", "a", segments=(segment("s", "a", "x"),), links=(link("a", "y"),))
    assert set(found) == {"devices.1.name", "segments.0.members.1", "links.0.between"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("bandwidth_bytes_per_s", 0),
        ("bandwidth_bytes_per_s", -1),
        ("latency_s", -1),
        ("members", ["a"]),
        ("kind", "x"),
    ],
)
def test_an_impossible_segment_is_a_fault(word: str, value: object) -> None:
    data = {**segment("s", "a", "b"), word: value}
    with pytest.raises(InputError) as caught:
        validate(Segment, data, "segment")
    assert [fault.path for fault in caught.value.faults] == [word]


def device(**words: Any) -> Device:
    return validate(Device, board("a", **words), "device")


def device_faults(**words: Any) -> set[str]:
    with pytest.raises(InputError) as caught:
        device(**words)
    return {fault.path for fault in caught.value.faults}


def test_a_plain_number_is_a_quantity_without_origin() -> None:
    assert device(idle_w=2, busy_w=3).idle_w == Quantity(value=2)


def test_a_number_may_not_be_both_measured_and_estimated() -> None:
    assert device_faults(radio_w={"value": 1, "source": "a", "estimate": "b"}) == {"radio_w"}


@pytest.mark.parametrize("text", ["-1", ".nan", ".inf", "true", "much", "null"])
def test_an_impossible_number_is_a_fault(text: str) -> None:
    value = parse(f"value: {text}", "number", is_json=False)["value"]
    assert all(path.startswith("memory_bytes") for path in device_faults(memory_bytes=value))


def test_a_speed_of_zero_is_a_fault() -> None:
    assert device_faults(flop_per_s={"fp32": 0}) == {"flop_per_s.fp32"}


def test_a_device_without_speed_is_a_fault() -> None:
    assert device_faults(flop_per_s={}) == {"flop_per_s"}


def test_busy_power_below_idle_is_a_fault() -> None:
    assert device_faults(idle_w=5, busy_w=3) == {"busy_w"}


def test_a_speed_of_zero_in_a_power_mode_is_a_fault() -> None:
    found = device_faults(power_modes={"5w": {"flop_per_s": {"fp32": 0}, "busy_w": 1}})
    assert found == {"power_modes.5w.flop_per_s.fp32"}


MODES = {
    "5w": {"flop_per_s": {"fp32": 5e8}, "busy_w": 4},
    "low": {"flop_per_s": {}, "busy_w": 3, "idle_w": 1},
}


def test_a_power_mode_changes_speed_and_busy_power() -> None:
    slow = device(idle_w=2, busy_w=7, flop_per_s={"fp32": 1e9, "fp64": 1e8}, power_modes=MODES).in_mode("5w")
    assert {key: speed.value for key, speed in slow.flop_per_s.items()} == {"fp32": 5e8, "fp64": 1e8}
    assert (slow.idle_w.value, slow.busy_w.value) == (2, 4)


def test_a_power_mode_may_change_idle_power() -> None:
    assert device(idle_w=2, busy_w=7, power_modes=MODES).in_mode("low").idle_w.value == 1


def test_without_a_power_mode_the_own_numbers_hold() -> None:
    normal = device(power_modes=MODES)
    assert normal.in_mode(None) is normal


def test_an_unknown_power_mode_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        device().in_mode("5w")


def test_estimates_are_listed_with_their_path_and_reasoning() -> None:
    guess = {"value": 3, "estimate": "a guess"}
    found = device(
        busy_w=guess,
        radio_w={"value": 1, "source": "meter"},
        power_modes={"5w": {"flop_per_s": {"fp32": {"value": 1, "estimate": "half"}}, "busy_w": 4}},
    )
    assert found.estimates == {"busy_w": "a guess", "power_modes.5w.flop_per_s.fp32": "half"}


def test_the_spectrum_formula_is_finite_for_tiny_shares() -> None:
    assert math.isfinite(SPECTRUM.rate_bytes_per_s("a", 1e-3))


def test_times_measured_on_a_device_go_before_those_of_its_kind():
    one, two = ({"samples": [1], "forward_s": [x], "backward_s": [x]} for x in (1.0, 2.0))
    work = Workload.model_validate(
        {
            "name": "tiny",
            "blocks": [{"name": name, "forward_flop": 1} for name in "ab"],
            "profiles": {"nano": {"a": one, "b": one}},
        }
    )
    words = {"kind": "nano", "flop_per_s": {"fp32": 1}, "memory_bytes": 1, "busy_w": 2}
    plain = Device.model_validate({"name": "x", **words})
    own = {
        "profiles": {"tiny": {"b": two}},
        "power_modes": {"slow": {"flop_per_s": {"fp32": 0.25}, "busy_w": 1}},
    }
    measured = Device.model_validate({"name": "y", **words, **own})
    assert {name: time.forward_s for name, time in plain.times(work).items()} == {"a": (1.0,), "b": (1.0,)}
    assert {name: time.forward_s for name, time in measured.times(work).items()} == {"a": (1.0,), "b": (2.0,)}
    # In a mode of a quarter of the speed everything takes four times as long.
    slow = measured.in_mode("slow").times(work)
    assert {name: time.forward_s for name, time in slow.items()} == {"a": (4.0,), "b": (8.0,)}


def test_a_quantity_has_one_origin():
    with pytest.raises(ValidationError, match="measured here has no other origin"):
        Quantity(value=1, measured="here", estimate="a guess")
