"""Networks of experiments: rates in bytes per second, rooms by halves, draws that repeat."""

from __future__ import annotations

from experiments.cases.regimes import Network, boards_of, over

BOARDS = boards_of("jetson_mixed")  # nano, tx2, nx, orin


def test_a_switch_joins_every_pair_at_its_rate() -> None:
    cluster = over(BOARDS, Network("switch", 100), "four")
    assert cluster.name == "four_switch_100"
    assert cluster.link("nano", "orin").bytes_per_s == 12.5e6  # 100 Mbit/s
    assert cluster.link("nano", "orin").media == ()


def test_an_access_point_is_one_medium_for_all() -> None:
    cluster = over(BOARDS, Network("shared", 100), "four")
    assert cluster.link("nano", "tx2").media == cluster.link("nx", "orin").media == ("net",)


def test_rooms_are_halves_with_a_bridge_between() -> None:
    cluster = over(BOARDS, Network("rooms", 30), "four")
    assert cluster.link("nano", "tx2").bytes_per_s == 125e6
    assert cluster.link("tx2", "nx").bytes_per_s == 30e6 / 8
    assert cluster.link("tx2", "nx").media == ("bridge",)


def test_drawn_links_lie_in_their_range_and_repeat() -> None:
    one, same, other = (over(BOARDS, Network("mixed", seed), "four") for seed in (1, 1, 2))
    rates = [link.bandwidth_bytes_per_s * 8 / 1e6 for link in one.links]
    assert len(rates) == 6 and all(50 <= rate <= 1000 for rate in rates)
    assert one.digest == same.digest
    assert one.digest != other.digest
