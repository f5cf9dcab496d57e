"""Inputs of Piper: a DAG of layers, each measured on groups of 1, 2, 4, ... devices in several variants.

Source: github.com/msr-fiddle/piper (Tarnawski, Narayanan and Phanishayee, "Piper: multidimensional planner
for DNN parallelization", NeurIPS 2021). JSON: ``nodes`` with ``id``, ``name`` and ``TMPCs`` (tensor-parallel
degree to variants with ``timePerSample``, ``parameterSize``, ``memoryUsageA``, ``memoryUsageB``, and
``syncTimeFw`` and ``syncTimeBw``, which are bytes by neighbour), ``edges`` with ``sourceId``, ``destId`` and
``communicationCost`` (bytes), and ``mbsInBatch`` (or ``maxBatchSize``). ``maxDevices``,
``maxMemoryPerDevice`` and ``bandwidth`` describe a cluster, not the layers: they are checked and left alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.document import parse
from models.errors import Fault, InputError
from models.workload import Block, Edge, TensorSharding, Variant, Workload

FIGURES = {
    "timePerSample": "time_s",
    "parameterSize": "parameter_bytes",
    "memoryUsageA": "in_flight_bytes",
    "memoryUsageB": "fixed_bytes",
}
"""Figures of a variant in the file, and what they are called here."""


@dataclass(frozen=True)
class PiperInput:
    """What a file says.

    Parameters
    ----------
    workload
        The layers; blocks are named by the ids of the nodes, and carry their variants.
    batch
        Micro-batches of a step.
    """

    workload: Workload
    batch: int


def read(path: Path) -> PiperInput:
    """Read an input of Piper.

    Parameters
    ----------
    path
        The file; its stem is the workload's name.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    data = parse(text, str(path), is_json=True)
    faults = list(_faults(data))
    if faults:
        raise InputError(faults, str(path))
    try:
        return PiperInput(_workload(path.stem, data), int(_batch(data)))
    except InputError as error:
        raise InputError(error.faults, str(path)) from None


def _batch(data: dict[str, Any]) -> Any:
    return data.get("mbsInBatch", data.get("maxBatchSize"))


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= sys.float_info.max


def _is_list(data: dict[str, Any], word: str) -> bool:
    return isinstance(data.get(word), list) and all(isinstance(item, dict) for item in data[word])


def _faults(data: Any) -> Iterator[Fault]:
    if not isinstance(data, dict):
        yield Fault("", f"needs an object with nodes and edges, given {type(data).__name__}")
        return
    batch = _batch(data)
    if not _is_number(batch) or batch < 1 or batch != int(batch):
        yield Fault("mbsInBatch", f"needs a whole number of micro-batches, at least 1; given {batch!r}")
    for word in ("maxDevices", "maxMemoryPerDevice", "bandwidth"):
        if word in data and not _is_number(data[word]):
            yield Fault(word, f"needs a number, at least 0; given {data[word]!r}")
    for word in ("nodes", "edges"):
        if not _is_list(data, word):
            yield Fault(word, "needs a list of objects")
    if not _is_list(data, "nodes"):
        return
    if not data["nodes"]:
        yield Fault("nodes", "there is no node")
    ids = [node.get("id") for node in data["nodes"]]
    edges = data["edges"] if _is_list(data, "edges") else []
    yield from _edge_faults(edges, ids)
    pairs = {(edge.get("sourceId"), edge.get("destId")) for edge in edges if _are_ids(edge)}
    tables = [node.get("TMPCs") for node in data["nodes"]]
    degrees = {word for table in tables if isinstance(table, dict) for word in table if _is_degree(word)}
    for i, node in enumerate(data["nodes"]):
        if not _is_id(ids[i]):
            yield Fault(f"nodes.{i}.id", f"needs a whole number; given {ids[i]!r}")
        elif ids.index(ids[i]) < i:
            yield Fault(f"nodes.{i}.id", f"id {ids[i]} is taken by nodes.{ids.index(ids[i])}")
        yield from _table_faults(f"nodes.{i}.TMPCs", node, degrees, pairs)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_ids(edge: dict[str, Any]) -> bool:
    return _is_id(edge.get("sourceId")) and _is_id(edge.get("destId"))


def _is_degree(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word) >= 1


def _edge_faults(edges: list[dict[str, Any]], ids: list[Any]) -> Iterator[Fault]:
    seen: dict[tuple[int, int], int] = {}
    for i, edge in enumerate(edges):
        for word in ("sourceId", "destId"):
            if edge.get(word) not in ids or not _is_id(edge.get(word)):
                yield Fault(f"edges.{i}.{word}", f"no node has the id {edge.get(word)!r}")
        if _are_ids(edge):
            ends = edge["sourceId"], edge["destId"]
            if ends[0] == ends[1]:
                yield Fault(f"edges.{i}", f"an edge from node {ends[0]} to itself")
            if ends in seen:
                yield Fault(f"edges.{i}", f"edge {ends[0]} -> {ends[1]} is edges.{seen[ends]} too")
            seen.setdefault(ends, i)
        if not _is_number(edge.get("communicationCost")):
            given = edge.get("communicationCost")
            yield Fault(f"edges.{i}.communicationCost", f"needs bytes, at least 0; given {given!r}")


def _table_faults(
    path: str, node: dict[str, Any], degrees: set[str], pairs: set[tuple[Any, Any]]
) -> Iterator[Fault]:
    table = node.get("TMPCs")
    if not isinstance(table, dict) or not table:
        yield Fault(path, "needs variants by tensor-parallel degree, as {'1': [...]}")
        return
    missing = sorted(degrees - set(table), key=int)
    if missing:
        yield Fault(path, f"lacks degree {', '.join(missing)}, which other nodes have")
    for degree, variants in table.items():
        if not _is_degree(degree):
            yield Fault(f"{path}.{degree}", "a tensor-parallel degree is a whole number, at least 1")
        if not isinstance(variants, list) or not variants:
            yield Fault(f"{path}.{degree}", "needs a list of at least one variant")
            continue
        for i, variant in enumerate(variants):
            yield from _variant_faults(f"{path}.{degree}.{i}", node.get("id"), variant, pairs)


def _variant_faults(path: str, node: Any, variant: Any, pairs: set[tuple[Any, Any]]) -> Iterator[Fault]:
    if not isinstance(variant, dict):
        yield Fault(path, "needs an object")
        return
    for word in FIGURES:
        if not _is_number(variant.get(word)):
            yield Fault(f"{path}.{word}", f"needs a number, at least 0; given {variant.get(word)!r}")
    for word in ("syncTimeFw", "syncTimeBw"):
        table = variant.get(word, {})
        if not isinstance(table, dict):
            yield Fault(f"{path}.{word}", "needs bytes by neighbour")
            continue
        for name, value in table.items():
            other = int(name) if _is_degree(name) or name == "0" else name
            ends = (other, node) if word == "syncTimeFw" else (node, other)
            if _is_id(node) and ends not in pairs:
                way = "from" if word == "syncTimeFw" else "to"
                yield Fault(f"{path}.{word}.{name}", f"there is no edge {way} node {name}")
            if not _is_number(value):
                yield Fault(f"{path}.{word}.{name}", f"needs bytes, at least 0; given {value!r}")


def _workload(name: str, data: dict[str, Any]) -> Workload:
    heads = math.lcm(*(int(degree) for node in data["nodes"] for degree in node["TMPCs"]))
    return Workload(
        name=name,
        description="A sample is a micro-batch of the profile.",
        source="input of Piper, github.com/msr-fiddle/piper",
        blocks=tuple(_block(node, heads) for node in data["nodes"]),
        edges=tuple(
            Edge(
                source=str(edge["sourceId"]),
                target=str(edge["destId"]),
                measured_bytes=edge["communicationCost"],
            )
            for edge in data["edges"]
        ),
    )


def _block(node: dict[str, Any], heads: int) -> Block:
    return Block(
        name=str(node["id"]),
        forward_flop=0,
        tensor=TensorSharding(heads=heads, weight_bytes=0),
        variants={
            int(degree): tuple(_variant(i, variant) for i, variant in enumerate(variants))
            for degree, variants in node["TMPCs"].items()
        },
    )


def _variant(index: int, variant: dict[str, Any]) -> Variant:
    return Variant(
        name=str(variant.get("id", index)) or str(index),
        sync_bytes={**variant.get("syncTimeFw", {}), **variant.get("syncTimeBw", {})},
        **{ours: variant[theirs] for theirs, ours in FIGURES.items()},
    )
