"""Inputs of Piper: what is read, and every fault of damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InputError
from models.formats import piper
from tests.suites.published_rules import random_piper


def data() -> dict[str, Any]:
    """Three layers 0 -> 1 -> 2, on groups of 1 and 2, two variants each."""
    nodes = []
    for i in range(3):
        variant = {
            "id": "vanilla",
            "timePerSample": 1.5,
            "parameterSize": 10,
            "memoryUsageA": 3,
            "memoryUsageB": 4,
            "syncTimeFw": {str(i - 1): 5} if i else {},
            "syncTimeBw": {str(i + 1): 6} if i < 2 else {},
        }
        nodes.append({"id": i, "name": "layer", "TMPCs": {"1": [variant, variant], "2": [variant]}})
    edges = [{"sourceId": i, "destId": i + 1, "communicationCost": 7} for i in range(2)]
    words = {"maxDevices": 2, "maxMemoryPerDevice": 8e9, "bandwidth": 1e9, "mbsInBatch": 12}
    return {**words, "nodes": nodes, "edges": edges}


def write(folder: Path, content: object) -> Path:
    path = folder / "net.json"
    path.write_text(json.dumps(content))
    return path


def test_what_is_read(tmp_path: Path) -> None:
    found = piper.read(write(tmp_path, data()))
    assert found.batch == 12 and found.workload.name == "net" and found.workload.order == ("0", "1", "2")
    middle = found.workload.by_name["1"]
    assert list(middle.variants) == [1, 2] and [len(v) for v in middle.variants.values()] == [2, 1]
    variant = middle.variants[2][0]
    assert (variant.name, variant.time_s, variant.parameter_bytes) == ("vanilla", 1.5, 10)
    assert (variant.in_flight_bytes, variant.fixed_bytes) == (3, 4)
    assert variant.sync_bytes == {"0": 5, "2": 6}
    assert [edge.measured_bytes for edge in found.workload.edges] == [7, 7]
    assert middle.tensor is not None and middle.tensor.heads == 2


def test_the_batch_may_have_its_other_name(tmp_path: Path) -> None:
    content = data()
    content["maxBatchSize"] = content.pop("mbsInBatch")
    assert piper.read(write(tmp_path, content)).batch == 12


def test_random_inputs_are_read(tmp_path: Path) -> None:
    for seed in range(10):
        content = random_piper(np.random.default_rng(seed), 6)
        found = piper.read(write(tmp_path, content))
        assert len(found.workload.blocks) == 6 and len(found.workload.edges) == len(content["edges"])


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (lambda d: d.update(mbsInBatch=0), ["mbsInBatch"]),
        (lambda d: d.update(mbsInBatch=10**400, bandwidth=10**400), ["mbsInBatch", "bandwidth"]),
        (lambda d: d.pop("mbsInBatch"), ["mbsInBatch"]),
        (lambda d: d.update(bandwidth=-1), ["bandwidth"]),
        (lambda d: d.pop("nodes"), ["nodes"]),
        (lambda d: d.update(nodes=[], edges=[]), ["nodes"]),
        (lambda d: d.update(edges={}), ["edges"]),
        (lambda d: d["nodes"][1].pop("TMPCs"), ["nodes.1.TMPCs"]),
        (lambda d: d["nodes"][1]["TMPCs"].pop("2"), ["nodes.1.TMPCs"]),
        (lambda d: d["nodes"][1]["TMPCs"].update({"2": []}), ["nodes.1.TMPCs.2"]),
        (lambda d: d["nodes"][1]["TMPCs"].update({"x": d["nodes"][1]["TMPCs"]["1"]}), ["nodes.1.TMPCs.x"]),
        (lambda d: d["nodes"][2].update(id=0), ["edges.1.destId", "nodes.2.id"]),
        (lambda d: d["nodes"][2].update(id="two"), ["edges.1.destId", "nodes.2.id"]),
        (lambda d: d["nodes"][2].update(id=[2]), ["edges.1.destId", "nodes.2.id"]),
        (lambda d: d["edges"][0].update(destId=9), ["edges.0.destId"]),
        (lambda d: d["edges"][0].update(communicationCost=-7), ["edges.0.communicationCost"]),
        (lambda d: d["edges"].append(dict(d["edges"][0])), ["edges.2"]),
        (lambda d: d["edges"].append({"sourceId": 2, "destId": 0, "communicationCost": 1}), ["edges"]),
        (lambda d: d["edges"][0].update(sourceId=1, destId=1), ["edges.0"]),
    ],
)
def test_every_fault_is_listed_with_its_path(
    damage: Callable[[dict[str, Any]], object], wanted: list[str], tmp_path: Path
) -> None:
    content = data()
    damage(content)
    with pytest.raises(InputError) as found:
        piper.read(write(tmp_path, content))
    paths = [fault.path for fault in found.value.faults if "sync" not in fault.path]
    assert paths == wanted


@pytest.mark.parametrize("word", ["timePerSample", "parameterSize", "memoryUsageA", "memoryUsageB"])
@pytest.mark.parametrize("value", [-1, None, "1", True, 10**400])
def test_figures_are_numbers_not_below_zero(word: str, value: object, tmp_path: Path) -> None:
    content = json.loads(json.dumps(data()))
    content["nodes"][1]["TMPCs"]["1"][1][word] = value
    with pytest.raises(InputError, match=rf"nodes\.1\.TMPCs\.1\.1\.{word}: needs a number, at least 0"):
        piper.read(write(tmp_path, content))


def test_sync_is_of_neighbours(tmp_path: Path) -> None:
    content = json.loads(json.dumps(data()))
    content["nodes"][0]["TMPCs"]["1"][0]["syncTimeBw"] = {"2": 1, "1": -1}
    with pytest.raises(InputError) as found:
        piper.read(write(tmp_path, content))
    assert [fault.path for fault in found.value.faults] == [
        "nodes.0.TMPCs.1.0.syncTimeBw.2",
        "nodes.0.TMPCs.1.0.syncTimeBw.1",
    ]


@pytest.mark.parametrize("text", ["", "{", '{"nodes": NaN}', "[]", '{"nodes": 1, "nodes": 2}', "\x00"])
def test_what_is_not_such_a_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(InputError):
        piper.read(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_bytes(b"\xff\xfe{")
    for name in ("net.json", "none.json"):
        with pytest.raises(InputError, match="cannot read"):
            piper.read(tmp_path / name)


def test_a_cycle_is_shown(tmp_path: Path) -> None:
    content = data()
    content["edges"].append({"sourceId": 2, "destId": 0, "communicationCost": 1})
    with pytest.raises(InputError, match="cycle: 0 -> 1 -> 2 -> 0"):
        piper.read(write(tmp_path, content))
