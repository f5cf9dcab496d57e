"""State: the weights and the optimizer's state of one block, whole, whoever holds which part of it.

A replica exports what it holds of a block (:func:`state_of`); the parts of several replicas are joined
(:func:`joined`) into the whole state, which any replica takes its own part of (:func:`set_state`). In between
it may lie in a checkpoint, or travel as bytes (:func:`packed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import safetensors.torch
import torch
from torch import Tensor

from models.nets.net import Net
from models.nets.shard import Shard
from solver.execution.passes.replica import Replica

Named = dict[str, Tensor]


@dataclass(frozen=True)
class BlockState:
    """Weights and optimizer state of one block.

    Parameters
    ----------
    weights
        The block's ``state_dict``: parameters and buffers by name, without those tied to another block.
    optimizer
        By slot (``exp_avg``, ``momentum_buffer``, ``step``), then by name of the parameter; empty before the
        first update, and for a block that is not trained.
    """

    weights: Named
    optimizer: dict[str, Named] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Size of all its tensors."""
        tensors = [*self.weights.values(), *(t for slot in self.optimizer.values() for t in slot.values())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def optimizer_table(self) -> Named:
        """Return the optimizer's tensors by ``SLOT.PARAMETER``."""
        return {f"{slot}.{name}": t for slot, named in self.optimizer.items() for name, t in named.items()}


def optimizer_of_table(table: Mapping[str, Tensor]) -> dict[str, Named]:
    """Return what :meth:`BlockState.optimizer_table` flattened, by slot and parameter."""
    found: dict[str, Named] = {}
    for key, tensor in table.items():
        slot, name = key.split(".", 1)
        found.setdefault(slot, {})[name] = tensor
    return found


@dataclass(frozen=True)
class Part:
    """What one replica holds of a block.

    Parameters
    ----------
    state
        Its tensors; those of cut parameters are its part only.
    cuts
        The cut parameters, and which part of them it is.
    """

    state: BlockState
    cuts: Mapping[str, Shard] = field(default_factory=dict)


def state_of(replica: Replica, block: str) -> Part:
    """Return what a replica holds of a block; the tensors are the replica's own, not copies.

    Parameters
    ----------
    replica, block
        Which replica, and the name of one of its blocks.
    """
    optimizer: dict[str, Named] = {}
    known = replica.optimizer.state if replica.optimizer is not None else {}
    for name, parameter in replica.net.weights(block).items():
        for slot, value in known.get(parameter, {}).items():
            if isinstance(value, Tensor):
                optimizer.setdefault(slot, {})[name] = value.detach()
    weights = {name: tensor.detach() for name, tensor in _tensors(replica.net, block).items()}
    return Part(BlockState(weights, optimizer), replica.shards[block])


def joined(parts: Iterable[Part]) -> BlockState:
    """Join the parts of a block to its whole state; where several hold the same, the first one counts.

    Parameters
    ----------
    parts
        Of all replicas that hold some of it.

    Raises
    ------
    LookupError
        If some of a cut parameter is in none of them.
    """
    known = list(parts)
    first = known[0].state
    optimizer = {
        slot: {
            name: _whole([(p.state.optimizer[slot][name], p.cuts.get(name)) for p in known]) for name in named
        }
        for slot, named in first.optimizer.items()
    }
    weights = {
        name: _whole([(part.state.weights[name], part.cuts.get(name)) for part in known])
        for name in first.weights
    }
    return BlockState(weights, optimizer)


def _whole(pieces: list[tuple[Tensor, Shard | None]]) -> Tensor:
    """Put the pieces of one tensor together; those without the cut dimension are the same everywhere."""
    tensor, cut = pieces[0]
    if cut is None or tensor.dim() == 0:
        return tensor
    shape = [*tensor.shape]
    shape[cut.axis] = cut.size
    found = torch.empty(shape, dtype=tensor.dtype)
    covered = 0
    for piece, place in sorted(pieces, key=lambda item: item[1].start if item[1] is not None else 0):
        assert place is not None
        if place.stop <= covered:
            continue
        if place.start > covered:
            break
        found.narrow(place.axis, place.start, place.stop - place.start).copy_(piece)
        covered = place.stop
    if covered < cut.size:
        raise LookupError(f"nobody holds {covered} to {cut.size} of dimension {cut.axis}")
    return found


def set_state(replica: Replica, block: str, state: BlockState) -> None:
    """Give a replica the whole state of one of its blocks, of which it takes its part.

    Parameters
    ----------
    replica, block
        Which replica, and the name of one of its blocks.
    state
        Whole tensors; they are copied.
    """
    cuts = replica.shards[block]
    with torch.no_grad():
        for name, tensor in _tensors(replica.net, block).items():
            tensor.copy_(_own(state.weights[name], cuts.get(name)))
    for name, parameter in replica.net.weights(block).items():
        if parameter.requires_grad and replica.optimizer is not None:
            replica.optimizer.state.pop(parameter, None)
            slots = {slot: named[name] for slot, named in state.optimizer.items() if name in named}
            if slots:
                kept = {slot: _own(tensor, cuts.get(name)).clone() for slot, tensor in slots.items()}
                replica.optimizer.state[parameter] = kept
    replica.follow(block)


def set_part(replica: Replica, block: str, part: Part) -> bool:
    """Give a replica the weights of one of its blocks, if they are the same part; return whether they are.

    Parameters
    ----------
    replica, block
        Which replica, and the name of one of its blocks.
    part
        What was held of it before the first update; it is copied.
    """
    if dict(part.cuts) != replica.shards[block]:
        return False
    with torch.no_grad():
        for name, tensor in _tensors(replica.net, block).items():
            tensor.copy_(part.state.weights[name])
    replica.follow(block)
    return True


def _own(tensor: Tensor, cut: Shard | None) -> Tensor:
    if cut is None or tensor.dim() == 0:
        return tensor
    return tensor.narrow(cut.axis, cut.start, cut.stop - cut.start).contiguous()


def _tensors(net: Net, block: str) -> Named:
    """Return the tensors of a block, without those that belong to another one."""
    tied = net.ties.get(block, {})
    return {name: t for name, t in net.blocks[block].state_dict().items() if name not in tied}


def layout_of(net: Net, block: str) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Return shape and number format of a block's tensors.

    Parameters
    ----------
    net, block
        A net of whole blocks, and the name of one of them.
    """
    return {name: (tuple(t.shape), t.dtype) for name, t in _tensors(net, block).items()}


def packed(state: BlockState) -> Tensor:
    """Return a state as bytes, for a message.

    Parameters
    ----------
    state
        Of one block.
    """
    tensors = {f"weights.{name}": tensor.contiguous() for name, tensor in state.weights.items()}
    tensors |= {f"optimizer.{key}": tensor.contiguous() for key, tensor in state.optimizer_table().items()}
    return torch.frombuffer(bytearray(safetensors.torch.save(tensors)), dtype=torch.uint8)


def unpacked(content: Tensor) -> BlockState:
    """Return the state that :func:`packed` made bytes of.

    Parameters
    ----------
    content
        (num_bytes,), unsigned bytes.
    """
    tensors = safetensors.torch.load(content.numpy().tobytes())
    sides: dict[str, Named] = {"weights": {}, "optimizer": {}}
    for key, tensor in tensors.items():
        side, name = key.split(".", 1)
        sides[side][name] = tensor
    return BlockState(sides["weights"], optimizer_of_table(sides["optimizer"]))
