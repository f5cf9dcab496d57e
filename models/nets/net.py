"""Nets: what a net is made of (its specification), and the torch modules built from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from models.errors import Fault, InputError
from models.nets.data import Dataset
from models.nets.losses import Loss
from models.workload import Precision

StateDict = Mapping[str, Tensor]
Ties = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TensorSpec:
    """Shape of one sample of raw data or of a target.

    Parameters
    ----------
    shape
        Shape without the sample dimension.
    kind
        ``float``: in the number format of the net; ``int``: 64-bit indices.
    bound
        Indices are below this number.
    owned_as
        What devices say they own that hold it, as ``camera``; the name of the modality if empty.
    """

    shape: tuple[int, ...]
    kind: Literal["float", "int"] = "float"
    bound: int = 1
    owned_as: str = ""


@dataclass(frozen=True)
class BlockSpec:
    """How one block is made.

    Parameters
    ----------
    name
        Unique in the net.
    make
        Makes the module with fresh random weights from torch's global generator.
    inputs
        Names of the blocks whose outputs it reads, in the order of its positional arguments.
    modality
        Sources only: name of the raw data it reads.
    loss
        Sinks only.
    ties
        Parameters that are those of another block, which counts them: name to (block, name there).
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: tuple[str, ...] = ()
    modality: str | None = None
    loss: Loss | None = None
    ties: Ties = field(default_factory=dict)


@dataclass(frozen=True)
class NetSpec:
    """A net without weights: everything that is known before anything is allocated.

    Parameters
    ----------
    name
        Name of the file in ``models/nets``.
    description, source
        What it is; where its dimensions come from.
    blocks
        The blocks in topological order.
    inputs
        Raw data by modality.
    targets
        Targets by task.
    precision
        Number format in which its card counts bytes.
    dataset
        What it can be trained on here; ``None`` if it is for cards only.
    private
        Modalities whose raw data may not leave the devices that own it.
    pretrained
        Returns the trained weights of one block, ``None`` for a block that starts at random.
    """

    name: str
    description: str
    source: str
    blocks: tuple[BlockSpec, ...]
    inputs: Mapping[str, TensorSpec]
    targets: Mapping[str, TensorSpec]
    precision: Precision = "fp32"
    dataset: Dataset | None = None
    private: frozenset[str] = frozenset()
    pretrained: Callable[[str], StateDict | None] | None = None

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Edges (source, target); those into one block are in the order of its arguments."""
        return tuple((source, block.name) for block in self.blocks for source in block.inputs)


@dataclass(frozen=True)
class Net:
    """A net, or the part of it that one process holds.

    Parameters
    ----------
    name
        Name of the net.
    blocks
        Modules by name, in topological order. A block takes the outputs of its predecessors in the order of
        ``edges`` (a source: the raw tensor of its modality) and returns one tensor [samples, ...].
    edges
        All edges (source, target) of the whole net.
    losses
        Loss of each sink.
    sources
        Modality of each source.
    dataset
        What it is trained on; ``None`` if it is for cards only.
    inputs
        Names of the blocks whose outputs each block reads.
    ties
        By block, its parameters that are those of another block.
    """

    name: str
    blocks: dict[str, nn.Module]
    edges: tuple[tuple[str, str], ...]
    losses: dict[str, Loss]
    sources: dict[str, str]
    dataset: Dataset | None = None
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ties: dict[str, Ties] = field(default_factory=dict)

    def weights(self, block: str) -> dict[str, nn.Parameter]:
        """Return the parameters of a block by name, without those that belong to another block."""
        tied = self.ties.get(block, {})
        return {name: w for name, w in self.blocks[block].named_parameters() if name not in tied}

    def forward(
        self, batch: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> dict[str, Tensor]:
        """Run the whole net undivided.

        Parameters
        ----------
        batch
            Raw tensors by modality, each [samples, ...]. A block that only absent modalities lead to is
            skipped, and zeros take the place of its output.
        shapes
            Shape per sample of every block's output; needed if a modality is absent.

        Returns
        -------
        dict of str to Tensor
            Output of every sink that is not skipped.
        """
        num_samples = len(next(iter(batch.values())))
        outputs: dict[str, Tensor] = {}
        for name, block in self.blocks.items():
            if name in self.sources:
                if self.sources[name] in batch:
                    outputs[name] = block(batch[self.sources[name]])
                continue
            given = {source: outputs[source] for source in self.inputs[name] if source in outputs}
            if given:
                blank = next(iter(given.values())).new_zeros
                for source in self.inputs[name]:
                    if source not in given:
                        given[source] = blank((num_samples, *(shapes or {})[source]))
                outputs[name] = block(*(given[source] for source in self.inputs[name]))
        return {name: outputs[name] for name in self.losses if name in outputs}

    def loss_sum(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        num_samples: Mapping[str, int] | None = None,
    ) -> Tensor:
        """Return the weighted loss of some sinks, summed over the samples.

        Parameters
        ----------
        outputs
            Output of these sinks.
        targets
            Targets by task.
        num_samples
            By task, the number of samples to divide by; 1 if ``None``.
        """
        terms = [
            loss(outputs[name], targets[loss.task]) * (loss.weight / (num_samples or {}).get(loss.task, 1))
            for name, loss in self.losses.items()
            if name in outputs
        ]
        return torch.stack(terms).sum()


def seed_of(seed: int, block: str) -> int:
    """Return the seed of one block's weights: the same whichever other blocks a process builds."""
    digest = hashlib.sha256(f"{seed}/{block}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def build_block(
    spec: NetSpec,
    name: str,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> nn.Module:
    """Build one block with weights that depend on the seed and its name alone.

    Weights are drawn in single precision and then converted, so every format starts from the same values.

    Parameters
    ----------
    spec
        The net.
    name
        Name of the block.
    seed
        Seed of the whole net.
    dtype
        Number format of the weights.
    device
        ``cpu``, or ``meta`` for shapes without values.

    Raises
    ------
    InputError
        If the net has no such block, or its trained weights are not installed.
    """
    blocks = {block.name: block for block in spec.blocks}
    if name not in blocks:
        raise InputError([Fault(name, f"net {spec.name} has no such block")], f"net {spec.name}")
    on_meta = device == "meta"
    with torch.random.fork_rng(devices=[]), torch.device("meta") if on_meta else nullcontext():
        torch.default_generator.manual_seed(seed_of(seed, name))
        module = blocks[name].make()
    weights = spec.pretrained(name) if spec.pretrained is not None and not on_meta else None
    if weights is not None:
        module.load_state_dict(dict(weights))
    return module.to(device=device, dtype=dtype)


def build_net(
    spec: NetSpec,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    only: Collection[str] | None = None,
) -> Net:
    """Build a net, or the blocks one process holds.

    Parameters
    ----------
    spec
        The net.
    seed
        Seed of the weights.
    dtype
        Number format of the weights.
    device
        ``cpu``, or ``meta`` for shapes without values.
    only
        Names of the blocks to build; all if ``None``.
    """
    chosen = [block.name for block in spec.blocks if only is None or block.name in only]
    blocks = {name: build_block(spec, name, seed, dtype, device) for name in chosen}
    ties = {block.name: block.ties for block in spec.blocks if block.name in blocks and block.ties}
    for name, tied in ties.items():
        _tie(blocks, name, tied)
    return Net(
        name=spec.name,
        blocks=blocks,
        edges=spec.edges,
        losses={block.name: block.loss for block in spec.blocks if block.loss is not None},
        sources={block.name: block.modality for block in spec.blocks if block.modality is not None},
        dataset=spec.dataset,
        inputs={block.name: block.inputs for block in spec.blocks},
        ties=ties,
    )


def _tie(blocks: Mapping[str, nn.Module], name: str, ties: Ties) -> None:
    """Give a block the parameters it shares with others, as far as those are here."""
    for own, (owner, theirs) in ties.items():
        if owner in blocks:
            path, _, last = own.rpartition(".")
            setattr(blocks[name].get_submodule(path), last, blocks[owner].get_parameter(theirs))
