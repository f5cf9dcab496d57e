"""Replica: the blocks one worker holds, their gradients in flat buffers, and the optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from models.errors import Fault, InputError
from models.nets import catalog
from models.nets.net import Net
from models.nets.shard import Shard, cut_block, exact, shard_of
from models.nets.traits import traits_of
from models.workload import Workload
from solver.execution.passes.tuning import Tuning
from solver.job import Job

DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16}

LEARNING_RATES = {"sgd": 0.05, "momentum": 0.01, "adamw": 0.001}
"""Default step sizes; momentum is 0.9."""


def make_optimizer(
    job: Job, weights: Sequence[nn.Parameter], learning_rate: float | None
) -> torch.optim.Optimizer:
    """Return the optimizer of a job.

    Parameters
    ----------
    job
        Says which.
    weights
        What it trains.
    learning_rate
        Step size; the default of the optimizer if ``None``.
    """
    rate = LEARNING_RATES[job.optimizer] if learning_rate is None else learning_rate
    if job.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=rate, foreach=False)
    return torch.optim.SGD(weights, lr=rate, momentum=0.9 * (job.optimizer == "momentum"), foreach=False)


Group = tuple[tuple[str, ...], tuple[float, float] | None]
"""Blocks whose gradients are reduced together; the part of their cut weights, ``None`` for the others."""


@dataclass(frozen=True)
class Held:
    """What one worker holds, as the plan says.

    Parameters
    ----------
    intervals
        By block, the part of its cut weights, from 0 to 1.
    cut
        Blocks of which some device holds a part only: their cut weights are reduced apart from the others.
    groups
        What is reduced together, in that order.
    twins
        By pipeline, blocks of which it has a copy beside the first.
    """

    intervals: Mapping[str, tuple[Fraction, Fraction]]
    cut: frozenset[str] = frozenset()
    groups: tuple[Group, ...] = ()
    twins: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def whole(cls, blocks: Iterable[str]) -> Self:
        """Return whole blocks, nothing reduced."""
        return cls(dict.fromkeys(blocks, (Fraction(0), Fraction(1))))


class Replica:
    """Weights, gradients and optimizer of some blocks.

    Parameters
    ----------
    tuning
        What is trained.
    held
        Which blocks it holds; what is reduced together gets one flat buffer.
    seed
        Seed of the weights.
    learning_rate
        Step size of the optimizer; its default if ``None``.

    Attributes
    ----------
    shards
        By block, the parameters of which it holds a part only.
    num_updates
        Updates it has done.
    """

    def __init__(
        self,
        tuning: Tuning,
        held: Held,
        seed: int,
        learning_rate: float | None,
    ) -> None:
        self.workload, self.job = tuning.workload, tuning.job
        self.dtype = DTYPES[self.job.precision]
        self.held = held
        self.net = build(self.workload, self.dtype, seed, tuple(held.intervals))
        tuning.apply(self.net, seed)
        self.shards: dict[str, dict[str, Shard]] = {
            name: cut_block(block, held.intervals[name]) for name, block in self.net.blocks.items()
        }
        self.gradients: dict[Group, Tensor] = {}
        for group in held.groups:
            slices = self._slices(group)
            if all(part is None for _, part in slices):
                self._flatten(group, [weight for weight, _ in slices])
        for name in self.net.blocks:
            rest = [w for w in self.net.weights(name).values() if w.requires_grad and w.grad is None]
            self._flatten(((name,), (0.0, 0.0)), rest)
        self._twins = {
            (pipeline, name): block
            for pipeline, names in held.twins.items()
            for name, block in deepcopy({name: self.net.blocks[name] for name in names}).items()
        }
        for (_, name), twin in self._twins.items():
            for own, first in zip(twin.parameters(), self.net.blocks[name].parameters(), strict=True):
                own.grad = first.grad
        self.num_updates = 0
        weights = self.trained_weights()
        self.optimizer = make_optimizer(self.job, weights, learning_rate) if weights else None

    def _slices(self, group: Group) -> list[tuple[nn.Parameter, Shard | None]]:
        """Return the weights of a group, each with the part of it that is reduced; ``None`` for all of it."""
        blocks, interval = group
        found: list[tuple[nn.Parameter, Shard | None]] = []
        for name in blocks:
            cut = traits_of(self.net.blocks[name]).cut if name in self.held.cut else {}
            weights = {key: w for key, w in self.net.weights(name).items() if w.requires_grad}
            if interval is None:
                found += [(weight, None) for key, weight in weights.items() if key not in cut]
                continue
            span = exact(interval[0]), exact(interval[1])
            for key in (key for key in weights if key in cut):
                axis, own = cut[key], self.shards[name].get(key)
                size = own.size if own is not None else weights[key].shape[axis]
                part = shard_of(axis, size, span)
                inside = part if own is None else part.within(own)
                found.append((weights[key], None if inside.is_all else inside))
        return found

    def _flatten(self, group: Group, weights: Sequence[nn.Parameter]) -> None:
        if not weights:
            return
        flat = torch.zeros(sum(p.numel() for p in weights), dtype=self.dtype)
        start = 0
        for weight in weights:
            weight.grad = flat[start : start + weight.numel()].view_as(weight)
            start += weight.numel()
        self.gradients[group] = flat

    def brought(self, group: Group, server_bytes: int) -> Tensor | None:
        """Return the flat gradients of a group; ``None`` if they do not lie in one run of memory.

        Parameters
        ----------
        group
            The group.
        server_bytes
            Size of the zeros a device brings that holds none of them: the server of a star.
        """
        if group in self.gradients or group in self.held.groups:
            return self.gradients.get(group)
        return torch.zeros(server_bytes // self.dtype.itemsize, dtype=self.dtype)

    def num_items(self, group: Group) -> int:
        """Return how many gradients a group has."""
        return sum(place.numel() for place in self._places(group))

    def pack(self, group: Group, flat: Tensor) -> None:
        """Copy the gradients of a group into one run of memory."""
        places = self._places(group)
        for place, part in zip(places, flat.split([p.numel() for p in places]), strict=True):
            part.view_as(place).copy_(place)

    def unpack(self, group: Group, flat: Tensor) -> None:
        """Copy the gradients of a group back to where they belong."""
        places = self._places(group)
        for place, part in zip(places, flat.split([p.numel() for p in places]), strict=True):
            place.copy_(part.view_as(place))

    def _places(self, group: Group) -> list[Tensor]:
        return [_gradient(weight, part) for weight, part in self._slices(group)]

    def module(self, pipeline: int, block: str) -> nn.Module:
        """Return the copy of a block that a pipeline trains."""
        return self._twins.get((pipeline, block), self.net.blocks[block])

    def follow(self, block: str) -> None:
        """Make all copies of a block, and what the optimizer keeps of them, those of the first."""
        known = self.optimizer.state if self.optimizer is not None else {}
        for twin in (twin for (_, name), twin in self._twins.items() if name == block):
            twin.load_state_dict(self.net.blocks[block].state_dict())
            for own, first in zip(twin.parameters(), self.net.blocks[block].parameters(), strict=True):
                known.pop(own, None)
                if first in known:
                    known[own] = {key: deepcopy(value) for key, value in known[first].items()}

    def _all_weights(self) -> list[nn.Parameter]:
        """Return the weights of all blocks and copies, each once."""
        found = [w for name in self.net.blocks for w in self.net.weights(name).values()]
        for (_, name), twin in self._twins.items():
            tied = self.net.ties.get(name, {})
            found += [w for key, w in twin.named_parameters() if key not in tied]
        return found

    def trained_weights(self) -> list[nn.Parameter]:
        """Return the weights that are trained."""
        return [weight for weight in self._all_weights() if weight.requires_grad]

    @cached_property
    def storages(self) -> set[int]:
        """What identifies the storages of all weights and buffers, which are always written in place."""
        blocks = (*self.net.blocks.values(), *self._twins.values())
        tensors = (t for block in blocks for t in (*block.parameters(), *block.buffers()))
        return {tensor.untyped_storage()._cdata for tensor in tensors}

    def clear_gradients(self) -> None:
        """Set all gradients to zero."""
        for flat in self.gradients.values():
            flat.zero_()

    def update(self) -> None:
        """Do one step of the optimizer."""
        if self.optimizer is not None:
            self.optimizer.step()
        self.num_updates += 1

    def forget(self, weight: nn.Parameter) -> None:
        """Let the optimizer begin anew with a weight."""
        if self.optimizer is not None:
            self.optimizer.state.pop(weight, None)

    def static_bytes(self) -> int:
        """Return the bytes of weights, gradients and optimizer state."""
        tensors: list[Tensor] = [*self._all_weights()]
        blocks = (*self.net.blocks.values(), *self._twins.values())
        tensors += [buffer for block in blocks for buffer in block.buffers()]
        tensors += self.gradients.values()
        states = self.optimizer.state.values() if self.optimizer is not None else ()
        tensors += [t for state in states for t in state.values() if isinstance(t, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights by block."""
        return {name: dict(block.state_dict()) for name, block in self.net.blocks.items()}


def _gradient(weight: nn.Parameter, part: Shard | None) -> Tensor:
    assert weight.grad is not None
    return weight.grad if part is None else part.of(weight.grad)


def build(workload: Workload, dtype: torch.dtype, seed: int, only: tuple[str, ...] | None = None) -> Net:
    """Build the net of a workload, or some of its blocks, and check it against the card.

    Parameters
    ----------
    workload
        The card.
    dtype, seed
        Number format and seed of the weights.
    only
        Names of the blocks; all if ``None``.

    Raises
    ------
    InputError
        If the card does not describe the net.
    """
    assert workload.net is not None
    net = catalog.build(workload.net, seed, dtype, only=only)
    faults = []
    if {(edge.source, edge.target) for edge in workload.edges} != set(net.edges):
        faults.append(Fault("edges", f"they are not those of net {workload.net}"))
    for name in only if only is not None else workload.by_name:
        if name not in net.blocks:
            faults.append(Fault(f"blocks.{name}", f"net {workload.net} has no such block"))
            continue
        faults += list(_state_faults(name, net.blocks[name]))
        faults += [
            Fault(f"blocks.{name}", f"{key} is {theirs} of {owner}, which the device does not hold")
            for key, (owner, theirs) in net.ties.get(name, {}).items()
            if owner not in net.blocks
        ]
    if faults:
        raise InputError(faults, f"workload {workload.name}")
    return net


def _state_faults(name: str, block: nn.Module) -> Iterator[Fault]:
    """Yield the layers whose result depends on more than a sample and the weights."""
    for path, layer in block.named_modules():
        kind = type(layer).__name__
        if "BatchNorm" in kind:
            message = (
                f"{path} is a {kind}: its statistics are of whichever samples a device computes together"
            )
            yield Fault(f"blocks.{name}", f"{message}; take a norm over a sample, as GroupNorm")
        elif "Dropout" in kind and getattr(layer, "p", 0.0) > 0:
            message = f"{path} is a {kind}: what it drops depends on which device draws; set p to 0"
            yield Fault(f"blocks.{name}", message)
