"""The reader of dnn-partitioning: what a file says, and every fault of a damaged one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from models.formats.dnn_partitioning import read_partitioning

GOOD: dict[str, Any] = {
    "maxSizePerFPGA": 100.0,
    "maxFPGAs": 2,
    "maxCPUs": 1,
    "nodes": [
        {"id": 5, "name": "a", "supportedOnFpga": 1, "cpuLatency": 20.0, "fpgaLatency": 2.0, "size": 7.5,
         "isBackwardNode": 0, "colorClass": 3, "layerId": 1},
        {"id": 6, "name": "b", "supportedOnFpga": 0, "cpuLatency": 1.0, "fpgaLatency": 9.0, "size": 0,
         "isBackwardNode": False},
        {"id": 7, "name": "a", "supportedOnFpga": True, "cpuLatency": 4.0, "fpgaLatency": 0.5, "size": 1.0,
         "isBackwardNode": True, "colorClass": 3},
        {"id": 8, "name": "loss", "supportedOnFpga": True, "cpuLatency": 0, "fpgaLatency": 0, "size": 0,
         "isBackwardNode": True},
    ],
    "edges": [
        {"sourceId": 5, "destId": 6, "cost": 0.25, "size": 99.0},
        {"sourceId": 5, "destId": 6, "cost": 0.25, "size": 99.0},
        {"sourceId": 5, "destId": 7, "cost": 0.25},
        {"sourceId": 8, "destId": 7, "cost": 0.5, "size": 1.0},
    ],
}  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.json"
    path.write_text(text)
    return path


def faults(folder: Path, data: Any) -> dict[str, str]:
    with pytest.raises(InputError) as error:
        read_partitioning(write(folder, json.dumps(data)))
    return {fault.path: fault.message for fault in error.value.faults}


def test_nodes_become_blocks_with_times_in_seconds(tmp_path: Path) -> None:
    given = read_partitioning(write(tmp_path, json.dumps(GOOD)))
    assert given.workload.name == "tiny" and set(given.workload.by_name) == {"5", "6", "7", "8"}
    assert given.workload.profiles["acc"]["5"].forward_s == (0.002,)
    assert given.workload.profiles["acc"]["5"].copy_s == (0.00025,)
    assert given.workload.profiles["cpu"]["5"].forward_s == (0.02,)
    assert given.workload.profiles["cpu"]["5"].copy_s == ()
    assert given.workload.by_name["5"].weight_bytes == 8 and given.workload.by_name["5"].output_bytes == 99
    # Parallel edges are one.
    assert len(given.workload.edges) == 3


def test_colours_support_and_backward_nodes(tmp_path: Path) -> None:
    given = read_partitioning(write(tmp_path, json.dumps(GOOD)))
    assert given.together == (("5", "7"),)
    assert given.forward == {"5", "6"} and given.unsupported == {"6"}
    # Node 8 has no forward node of its colour: its edge to a backward node counts, turned round.
    assert given.mirrored == (("7", "8"),)


def test_devices(tmp_path: Path) -> None:
    cluster = read_partitioning(write(tmp_path, json.dumps(GOOD))).cluster(1)
    assert [(d.name, d.kind) for d in cluster.devices] == [("acc0", "acc"), ("acc1", "acc"), ("cpu0", "cpu")]
    assert [d.memory_bytes.value for d in cluster.devices] == [100, 100, 2**60]


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"nodes": [', "\x00", "null", "[]", "3"])
def test_damaged_text_is_no_file(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tiny\.json"):
        read_partitioning(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_partitioning(tmp_path / "none.json")


def test_every_missing_field_is_listed(tmp_path: Path) -> None:
    found = faults(tmp_path, {"nodes": [{}], "edges": [{}]})
    wanted = {"maxFPGAs", "maxCPUs", "maxSizePerFPGA", "edges.0.sourceId", "edges.0.destId", "edges.0.cost"}
    words = ("id", "cpuLatency", "fpgaLatency", "size", "supportedOnFpga", "isBackwardNode")
    assert set(found) == wanted | {f"nodes.0.{word}" for word in words}


def test_more_devices_than_can_be_meant_are_a_fault(tmp_path: Path) -> None:
    found = faults(tmp_path, GOOD | {"maxFPGAs": 10**400, "maxCPUs": 100_001})
    assert set(found) == {"maxFPGAs", "maxCPUs"} and "100000" in found["maxCPUs"]


def test_impossible_numbers_are_listed(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["nodes"][0]["fpgaLatency"] = -1
    data["nodes"][1]["cpuLatency"] = float("nan")
    data["nodes"][2]["size"] = float("inf")
    data["nodes"][3]["id"] = "eight"
    data["edges"][0]["cost"] = -0.5
    data["maxFPGAs"] = -1
    assert set(faults(tmp_path, data)) == {
        "maxFPGAs", "nodes.0.fpgaLatency", "nodes.1.cpuLatency", "nodes.2.size", "nodes.3.id", "edges.0.cost",
    }  # fmt: skip


def test_ids_edges_and_costs_that_contradict_one_another_are_listed(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["nodes"][1]["id"] = 5
    data["edges"][3] = {"sourceId": 7, "destId": 5, "cost": 0.5}
    data["edges"][2]["cost"] = 0.3
    data["edges"].append({"sourceId": 8, "destId": 99, "cost": 0.0})
    found = faults(tmp_path, data)
    assert "taken by nodes.0" in found["nodes.1.id"]
    assert found["edges.0.destId"] == "no node has the id 6"
    assert found["edges.4.destId"] == "no node has the id 99"
    assert "costs 0.3 ms here and 0.25 ms before" in found["edges.2.cost"]
    assert "from backward node 7 to forward node 5" in found["edges.3"]


def test_cycles_and_loops_are_faults(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["edges"].append({"sourceId": 6, "destId": 5, "cost": 0.0})
    assert "form a cycle: 5 -> 6 -> 5" in faults(tmp_path, data)["edges"]
    data["edges"][-1] = {"sourceId": 8, "destId": 8, "cost": 0.5}
    assert "form a cycle: 8 -> 8" in faults(tmp_path, data)["edges"]


def test_no_device_and_no_node_are_faults(tmp_path: Path) -> None:
    assert "no device" in faults(tmp_path, {**GOOD, "maxFPGAs": 0, "maxCPUs": 0})["maxFPGAs"]
    assert "nodes" in faults(tmp_path, {**GOOD, "nodes": [], "edges": []})
