from models.cluster import Cluster, Device, Segment
from solver.reporting.network import Picture
from tests.reporting.cases import cluster, example, measured


def rooms(members: tuple[str, str]) -> Cluster:
    """Two rooms of two boards and a bridge; `members`: the bridge's name in each room, or nothing."""
    boards = [Device(name=name, flop_per_s={"fp32": 1e9}, memory_bytes=1e9) for name in "abcd"]
    inner = [("a", "b", *members[:1]), ("c", "d", *members[1:])] if members[0] else [("a", "b"), ("c", "d")]
    segments = [Segment(name=f"room{i}", members=m, bandwidth_bytes_per_s=1e6) for i, m in enumerate(inner)]
    bridge = Segment(name="bridge", kind="shared", members=("room0", "room1"), bandwidth_bytes_per_s=1e6)
    return Cluster(name="rooms", devices=tuple(boards), segments=(*segments, bridge))


def test_a_bridge_stands_above_the_rooms_side_by_side() -> None:
    for where in (rooms(("", "")), rooms(("bridge", "bridge"))):
        picture = Picture(where)
        assert picture.devices == ("a", "b", "c", "d")
        assert picture.level == {"room0": 0, "room1": 0, "bridge": 1}
        assert [picture.below(s) for s in where.segments] == [(0, 1), (2, 3), (0, 3)]


def test_flows_pair_both_directions_with_what_was_counted() -> None:
    _, _, where, report = example()
    flows = Picture(where).flows(report, measured(report))
    assert {(f.first, f.second) for f in flows} == {("dev0", "dev1"), ("dev0", "dev2"), ("dev1", "dev2")}
    assert sum(f.there + f.back for f in flows) == report.traffic_bytes
    assert all((f.there, f.back) == (f.measured_there, f.measured_back) for f in flows)


def test_a_single_device_needs_no_network() -> None:
    assert Picture(cluster(1)).level == {}
