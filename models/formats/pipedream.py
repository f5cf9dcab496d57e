"""Profiles of PipeDream: ``graph.txt``, times and sizes of every layer of a net on one GPU.

Source: github.com/msr-fiddle/pipedream, ``profiler/*/profiles/*/graph.txt`` (Narayanan et al., "PipeDream:
generalized pipeline parallelism for DNN training", SOSP 2019). A line is a node,

    node4 -- Conv2d(3, 64) -- forward_compute_time=1.2, backward_compute_time=3.4, activation_size=5.0, parameter_size=6.0

(milliseconds and bytes per mini-batch; a size may be a list, ``[1.0; 2.0]``), or, after a tab, an edge
``node4 -- node5``. As the authors' optimiser does, sources whose description begins with ``Input`` are left
out (their time is the time to load data), and sinks that begin with ``__getitem__`` (outputs nobody reads).
"""  # noqa: E501  (the line is quoted as it stands in the files)

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import Fault, InputError
from models.workload import Block, Edge, TimeProfile, Workload

KIND = "profiled_gpu"
"""Kind of device the times were measured on."""

FIGURES = ("forward_compute_time", "backward_compute_time", "activation_size", "parameter_size")


@dataclass(frozen=True)
class _Node:
    """A node: its line, what it is, and its figures in the order of ``FIGURES``."""

    line: int
    what: str
    figures: tuple[float, float, float, float]


def read(path: Path) -> Workload:
    """Read a profile as a workload whose samples are mini-batches.

    Parameters
    ----------
    path
        The file; its stem is the workload's name.

    Returns
    -------
    Workload
        Blocks named as the nodes, in the order of their numbers, with one profile, of devices of kind
        :data:`KIND`, at batch size 1.

    Raises
    ------
    InputError
        With every fault and its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    faults: list[Fault] = []
    nodes: dict[str, _Node] = {}
    edges: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("\t"):
            faults += _read_edge(number, line, edges)
        elif line.strip():
            faults += _read_node(number, line, nodes)
    for (source, target), number in edges.items():
        for name in (source, target):
            if name not in nodes:
                faults.append(Fault(f"line {number}", f"the edge names {name!r}, and no line describes it"))
    if not nodes and not faults:
        faults.append(Fault("", "no line describes a node: is it a graph.txt of PipeDream's profiler?"))
    if faults:
        raise InputError(faults, str(path))
    return _workload(path, nodes, list(edges))


def _read_edge(number: int, line: str, edges: dict[tuple[str, str], int]) -> Iterator[Fault]:
    ends = [part.strip() for part in line.split(" -- ")]
    if len(ends) != 2 or not all(ends):
        yield Fault(f"line {number}", f"an edge is 'node1 -- node2', given: {line.strip()!r}")
    elif (ends[0], ends[1]) in edges:
        yield Fault(
            f"line {number}", f"edge {ends[0]} -- {ends[1]} stands in line {edges[ends[0], ends[1]]} too"
        )
    else:
        edges[ends[0], ends[1]] = number


def _read_node(number: int, line: str, nodes: dict[str, _Node]) -> Iterator[Fault]:
    parts = line.strip().split(" -- ")
    if parts[-1].startswith("stage_id="):
        parts.pop()
    if len(parts) < 3:
        shown = line.strip()[:60]
        yield Fault(f"line {number}", f"a node is 'name -- description -- figures', given: {shown!r}")
        return
    name, what = parts[0], " -- ".join(parts[1:-1])
    if name in nodes:
        yield Fault(f"line {number}", f"node {name} stands in line {nodes[name].line} too")
        return
    figures = []
    for word in FIGURES:
        found = re.search(rf"(?:^|, ){word}=(\[[^\]]*\]|[^,\]]*)(?:,|$)", parts[-1])
        value = _number(found.group(1)) if found else None
        if found is None:
            yield Fault(f"line {number}", f"node {name} lacks {word}")
        elif value is None:
            yield Fault(
                f"line {number}", f"{word} of {name} is {found.group(1)!r}; needs a number, at least 0"
            )
        figures.append(value or 0.0)
    nodes[name] = _Node(number, what, (figures[0], figures[1], figures[2], figures[3]))


def _number(text: str) -> float | None:
    """Return a figure, lists added up; ``None`` if it is none, or below zero."""
    try:
        values = [float(part) for part in text.strip("[]").split(";")]
    except ValueError:
        return None
    return sum(values) if all(math.isfinite(value) and value >= 0 for value in values) else None


def _workload(path: Path, nodes: dict[str, _Node], edges: list[tuple[str, str]]) -> Workload:
    targets = {target for _, target in edges}
    dropped = {name for name, node in nodes.items() if node.what.startswith("Input") and name not in targets}
    sources = {source for source, _ in edges}
    dropped |= {
        name for name, node in nodes.items() if node.what.startswith("__getitem__") and name not in sources
    }
    kept = sorted(nodes.keys() - dropped, key=_place)
    if not kept:
        raise InputError([Fault("", "every node is an input or an output nobody reads")], str(path))
    blocks, profile = [], {}
    for name in kept:
        forward_ms, backward_ms, activation, parameters = nodes[name].figures
        size = round(activation)
        blocks.append(
            Block(
                name=name,
                forward_flop=0,
                weight_bytes=round(parameters),
                output_bytes=size,
                kept_bytes=size,
            )
        )
        profile[name] = TimeProfile(
            samples=(1,), forward_s=(forward_ms / 1000,), backward_s=(backward_ms / 1000,)
        )
    try:
        return Workload(
            name=path.stem,
            description="A sample is a mini-batch of the profile.",
            source="profile of PipeDream's profiler, github.com/msr-fiddle/pipedream",
            blocks=tuple(blocks),
            edges=tuple(
                Edge(source=source, target=target)
                for source, target in edges
                if source not in dropped and target not in dropped
            ),
            profiles={KIND: profile},
        )
    except InputError as error:
        raise InputError(error.faults, str(path)) from None


def _place(name: str) -> tuple[int, str]:
    """Return the number in a node's name, for sorting."""
    digits = re.search(r"\d+", name)
    return (int(digits.group()) if digits else 0, name)
