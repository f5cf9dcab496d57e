"""Workload: the cost graph of what is trained or served, a DAG of blocks with their costs per sample."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.document import Document
from models.errors import Fault, InputError

NUM_BYTES = {"fp32": 4, "fp64": 8, "bf16": 2, "fp16": 2}
Precision = Literal["fp32", "fp64", "bf16", "fp16"]


class Collective(Document):
    """What the devices of a group exchange inside one block when it is sharded.

    Parameters
    ----------
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    phase
        In the forward or in the backward pass.
    bytes_per_sample
        Size of the whole tensor (all shards together), bytes.
    at
        Part of the block's computation done before it: 0 first, 1 last.
    """

    operation: Literal["all_reduce", "all_gather", "reduce_scatter"]
    phase: Literal["forward", "backward"]
    bytes_per_sample: int = Field(ge=0)
    at: float = Field(default=1.0, ge=0, le=1)


class TensorSharding(Document):
    """How a block is cut over heads or columns (mode ``tensor``).

    Parameters
    ----------
    heads
        Number of units that may be shared out when the block is cut by heads; null if it is cut by columns.
    columns
        Number of columns that may be shared out, in proportion to the heads of the group.
    weight_bytes
        Part of the block's weight bytes that is cut; the rest is held by every device of the group.
    kept_whole_bytes
        Part of the kept bytes that every device keeps whole, as the input and what a norm keeps of it.
    input, output
        ``full``: every device needs (holds) all columns of the input (output);
        ``columns``: only its own.
    collectives
        What the group exchanges.
    """

    heads: int | None = Field(default=None, ge=1)
    columns: int | None = Field(default=None, ge=1)
    weight_bytes: int = Field(ge=0)
    kept_whole_bytes: int = Field(default=0, ge=0)
    input: Literal["full", "columns"] = "full"
    output: Literal["full", "columns"] = "full"
    collectives: tuple[Collective, ...] = ()


class SequenceSharding(Document):
    """How a block is cut over tokens (mode ``sequence``). Weights are held whole by every device."""

    collectives: tuple[Collective, ...] = ()


class Adapter(Document):
    """A weight matrix that low-rank adaptation (LoRA) may adapt: adds r x (in + out) weights.

    Parameters
    ----------
    name
        Name of the matrix inside the block, as ``query``.
    in_features, out_features
        Shape of the adapted matrix.
    tokens
        Rows per sample that pass through it.
    input
        Name of the activation it reads; matrices that read the same one keep it once.
    """

    name: str
    in_features: int = Field(ge=1)
    out_features: int = Field(ge=1)
    tokens: int = Field(default=1, ge=1)
    input: str = "x"


class Data(Document):
    """Raw data a source reads, or labels a loss reads.

    Parameters
    ----------
    name
        What devices of a cluster say they own, as ``camera`` or ``labels``.
    bytes_per_sample
        Size of one raw sample, bytes.
    may_leave
        Whether raw samples may be sent to another device (counted and marked raw).
    """

    name: str
    bytes_per_sample: int = Field(default=0, ge=0)
    may_leave: bool = False


class Variant(Document):
    """One measured way to run a block on a group of devices: plain, or with recomputed activations, ...

    Parameters
    ----------
    name
        What it is called.
    time_s
        Forward and backward of one sample, seconds.
    parameter_bytes
        Parameters whose gradients copies of the block reduce, on each device, bytes.
    in_flight_bytes
        Memory of each device for every micro-batch in flight, bytes.
    fixed_bytes
        Memory of each device beside that, bytes.
    sync_bytes
        What the group exchanges per sample and pass at the edge from or to a neighbour that is in another
        stage, by the neighbour's name, bytes.
    """

    name: str = Field(min_length=1)
    time_s: float = Field(ge=0)
    parameter_bytes: float = Field(default=0, ge=0)
    in_flight_bytes: float = Field(default=0, ge=0)
    fixed_bytes: float = Field(default=0, ge=0)
    sync_bytes: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


class Block(Document):
    """One indivisible piece of the net in a cut along the model. All costs are per sample.

    Parameters
    ----------
    name
        Unique name.
    forward_flop
        Floating-point operations of the forward pass.
    backward_input_flop, backward_weight_flop
        Operations of the gradient with respect to the input, and to the weights.
    weight_bytes
        Size of all weights.
    kept_bytes
        Bytes kept from forward to backward when the weights are trained.
    kept_frozen_bytes
        The same when the weights are frozen and the gradient only passes through.
    output_bytes
        Size of the output.
    tokens, columns
        Shape of the output per sample, for cuts of a boundary into slices; 1 where it cannot be sliced.
    task, loss, weight
        Sinks only: the task, the loss and its weight in the objective.
    modality
        Sources only: the kind of data it reads.
    data
        Who must own what it reads; null: every device has it free of charge.
    capacity
        Experts only: part of the tokens it has room for; what is beyond passes by and is counted.
    frozen
        Whether its weights are never trained.
    resources
        Named resources one service instance takes, as ``{"cpu": 1}``.
    variants
        Measured ways to run it, by the number of devices it is cut over; a stage chooses one. Read by the
        cost rule ``piper`` only.
    """

    name: str = Field(min_length=1)
    forward_flop: float = Field(ge=0)
    backward_input_flop: float = Field(default=0, ge=0)
    backward_weight_flop: float = Field(default=0, ge=0)
    weight_bytes: int = Field(default=0, ge=0)
    kept_bytes: int = Field(default=0, ge=0)
    kept_frozen_bytes: int = Field(default=0, ge=0)
    output_bytes: int = Field(default=0, ge=0)
    tokens: int = Field(default=1, ge=1)
    columns: int = Field(default=1, ge=1)
    tensor: TensorSharding | None = None
    sequence: SequenceSharding | None = None
    adapters: tuple[Adapter, ...] = ()
    task: str | None = None
    loss: str | None = None
    weight: float = Field(default=1.0, ge=0)
    modality: str | None = None
    data: Data | None = None
    capacity: float | None = Field(default=None, gt=0, le=1)
    frozen: bool = False
    resources: dict[str, float] = Field(default_factory=dict)
    variants: dict[Annotated[int, Field(ge=1)], Annotated[tuple[Variant, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )


class Edge(Document):
    """A tensor from one block to another.

    Parameters
    ----------
    source, target
        Names of blocks.
    share
        Expected part of the samples' tokens that take this edge (experts); 1 otherwise.
    measured_bytes
        Bytes per sample and pass that cross when the ends are in different stages. Read by the cost rule
        ``piper`` only, which knows no outputs that edges share.
    """

    source: str
    target: str
    share: float = Field(default=1.0, gt=0, le=1)
    measured_bytes: float = Field(default=0, ge=0)


class TimeProfile(Document):
    """Measured times of one block on one kind of device, at several batch sizes.

    Parameters
    ----------
    samples
        Batch sizes, increasing.
    forward_s, backward_s
        Seconds at each batch size, same length as ``samples``; between them linear.
    copy_s
        Likewise, one copy of the output between the device and host memory; empty: the device's memory is
        the host's. Read where transfers go through the host.
    """

    samples: tuple[int, ...] = Field(min_length=1)
    forward_s: tuple[float, ...]
    backward_s: tuple[float, ...]
    copy_s: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if not len(self.samples) == len(self.forward_s) == len(self.backward_s):
            raise ValueError("samples, forward_s and backward_s must have the same length")
        if len(self.copy_s) not in (0, len(self.samples)):
            raise ValueError("copy_s must have the same length as samples, or be left out")
        if list(self.samples) != sorted(set(self.samples)) or self.samples[0] < 1:
            raise ValueError("samples must be positive and increasing")
        if min(self.forward_s + self.backward_s + self.copy_s) < 0:
            raise ValueError("times must not be negative")
        return self

    def slower(self, factor: float) -> TimeProfile:
        """Return the profile of a board that computes so much slower; copies take as long.

        Parameters
        ----------
        factor
            On the times of both passes.
        """
        passes = {
            word: tuple(s * factor for s in getattr(self, word)) for word in ("forward_s", "backward_s")
        }
        return self.model_copy(update=passes)


class Workload(Document):
    """A DAG of blocks, immutable and validated at construction with every fault listed.

    Parameters
    ----------
    version
        Version of the format.
    name
        Catalogue name.
    description, source
        What it is; where the numbers come from.
    precision
        Number format in which the card's bytes are counted; a job in another scales them.
    net
        Name of the trainable net in ``models/nets`` this card was profiled from, if any.
    blocks
        The blocks, in any order.
    edges
        The edges; together they form an acyclic graph.
    profiles
        Measured times: device kind, then block name.
    """

    version: Literal[1] = 1
    name: str = Field(min_length=1)
    description: str = ""
    source: str = ""
    precision: Precision = "fp32"
    net: str | None = None
    blocks: tuple[Block, ...] = Field(min_length=1)
    edges: tuple[Edge, ...] = ()
    profiles: dict[str, dict[str, TimeProfile]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise InputError(faults, f"workload {self.name}") from None
        return self

    def _faults(self) -> Iterator[Fault]:
        names = [block.name for block in self.blocks]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield Fault(f"blocks.{i}.name", f"name {name!r} is taken by blocks.{names.index(name)}")
        known = set(names)
        seen: set[tuple[str, str]] = set()
        for i, edge in enumerate(self.edges):
            for end in ("source", "target"):
                name = getattr(edge, end)
                if name not in known:
                    yield Fault(f"edges.{i}.{end}", f"no block is called {name!r}")
            if (edge.source, edge.target) in seen:
                yield Fault(f"edges.{i}", f"edge {edge.source} -> {edge.target} is given twice")
            seen.add((edge.source, edge.target))
        if seen and all(edge.source in known and edge.target in known for edge in self.edges):
            cycle = _cycle(names, self.edges)
            if cycle:
                yield Fault("edges", "the blocks form a cycle: " + " -> ".join(cycle))
        for kind, table in self.profiles.items():
            for name in table:
                if name not in known:
                    yield Fault(f"profiles.{kind}.{name}", f"no block is called {name!r}")

    @cached_property
    def by_name(self) -> dict[str, Block]:
        """Blocks by name."""
        return {block.name: block for block in self.blocks}

    @cached_property
    def successors(self) -> dict[str, tuple[Edge, ...]]:
        """Outgoing edges of every block."""
        out: dict[str, list[Edge]] = {block.name: [] for block in self.blocks}
        for edge in self.edges:
            out[edge.source].append(edge)
        return {name: tuple(edges) for name, edges in out.items()}

    @cached_property
    def predecessors(self) -> dict[str, tuple[Edge, ...]]:
        """Incoming edges of every block."""
        into: dict[str, list[Edge]] = {block.name: [] for block in self.blocks}
        for edge in self.edges:
            into[edge.target].append(edge)
        return {name: tuple(edges) for name, edges in into.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names in topological order; blocks that are free to choose keep the order of the card."""
        position = {block.name: i for i, block in enumerate(self.blocks)}
        waiting = {name: len(edges) for name, edges in self.predecessors.items()}
        ready = sorted((name for name, count in waiting.items() if count == 0), key=position.__getitem__)
        order: list[str] = []
        while ready:
            name = ready.pop(0)
            order.append(name)
            for edge in self.successors[name]:
                waiting[edge.target] -= 1
                if waiting[edge.target] == 0:
                    ready.append(edge.target)
            ready.sort(key=position.__getitem__)
        return tuple(order)

    @cached_property
    def is_chain(self) -> bool:
        """Whether every block has at most one predecessor and one successor, and all hang together."""
        pairs = {(edge.source, edge.target) for edge in self.edges}
        return pairs == set(zip(self.order, self.order[1:], strict=False))

    @property
    def sources(self) -> tuple[str, ...]:
        """Blocks without predecessors, in topological order."""
        return tuple(name for name in self.order if not self.predecessors[name])

    @property
    def sinks(self) -> tuple[str, ...]:
        """Blocks without successors, in topological order."""
        return tuple(name for name in self.order if not self.successors[name])


def _cycle(names: list[str], edges: tuple[Edge, ...]) -> list[str]:
    """Return one cycle as a list of names, first = last; empty if there is none."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        after[edge.source].append(edge.target)
    state: dict[str, int] = {}
    for root in names:
        stack = [(root, iter(after[root]))] if root not in state else []
        path = [root] if stack else []
        state.setdefault(root, 1)
        while stack:
            child = next(stack[-1][1], None)
            if child is None:
                state[stack.pop()[0]] = 2
                path.pop()
            elif state.get(child) == 1:
                return [*path[path.index(child) :], child]
            elif child not in state:
                state[child] = 1
                path.append(child)
                stack.append((child, iter(after[child])))
    return []
