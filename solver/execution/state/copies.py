"""Copies: the state of other devices' stages that a worker keeps, as the backups of a plan say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from solver.errors import InternalError
from solver.execution.passes.replica import Replica

StageKey = tuple[int, int]
"""Pipeline and stage."""

_SLOTS = {"sgd": (), "momentum": ("momentum_buffer",), "adamw": ("exp_avg", "exp_avg_sq")}


class Copies:
    """What one worker keeps for others.

    Parameters
    ----------
    depth
        Versions kept of each stage. Two where a step may be taken back: the later one may be of a step that
        not everybody finished.

    Attributes
    ----------
    frozen
        Block to its weights that never change, as :func:`frozen_of` makes them: they come once.
    """

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self._kept: dict[StageKey, dict[int, Tensor]] = {}
        self.frozen: dict[str, Tensor] = {}

    @property
    def num_bytes(self) -> int:
        """Size of all of them."""
        renewed = [content for versions in self._kept.values() for content in versions.values()]
        return sum(content.numel() for content in (*renewed, *self.frozen.values()))

    def keep(self, stage: StageKey, version: int, content: Tensor) -> None:
        """Keep the state of a stage.

        Parameters
        ----------
        stage
            Which.
        version
            Steps that are in it.
        content
            (num_bytes,), unsigned bytes, as :func:`packed_stage` makes them.
        """
        versions = self._kept.setdefault(stage, {})
        for undone in [one for one in versions if one > version]:
            del versions[undone]
        versions[version] = content
        for old in sorted(versions)[: -self.depth]:
            del versions[old]

    def clear(self) -> None:
        """Forget what was renewed, as what a rehearsal sent: its steps have the numbers of real ones."""
        self._kept.clear()

    def forget_frozen(self, but: Collection[str]) -> None:
        """Let go of frozen weights of blocks whose copies are kept no longer.

        Parameters
        ----------
        but
            Blocks that still are.
        """
        self.frozen = {block: content for block, content in self.frozen.items() if block in but}

    @property
    def versions(self) -> list[tuple[int, int, int]]:
        """Pipeline, stage and number of steps of everything that was renewed and is kept."""
        return [(*stage, version) for stage, versions in self._kept.items() for version in versions]

    def of(self, stage: StageKey, version: int) -> Tensor | None:
        """Return a version of a stage, if it is kept."""
        return self._kept.get(stage, {}).get(version)


def packed_stage(replica: Replica, blocks: Iterable[str], num_bytes: int) -> Tensor:
    """Return what changes of some blocks as bytes: trained weights and optimizer state.

    Parameters
    ----------
    replica
        Holds them whole, and has done an update.
    blocks
        Their names.
    num_bytes
        What the Program says that they are.
    """
    content = _packed(tensor for block in blocks for tensor in _changing(replica, block))
    if content.numel() != num_bytes:
        raise InternalError(f"a backup has {content.numel()} bytes, the Program says {num_bytes}")
    return content


def frozen_of(replica: Replica, block: str) -> Tensor:
    """Return the weights of a block that never change as bytes.

    Parameters
    ----------
    replica
        Holds it whole.
    block
        Its name.
    """
    return _packed(_frozen(replica, block))


def fill(
    replica: Replica, blocks: Iterable[str], content: Tensor, version: int, frozen: Mapping[str, Tensor]
) -> None:
    """Give a replica the state that :func:`packed_stage` and :func:`frozen_of` made bytes of.

    Parameters
    ----------
    replica
        Holds the blocks whole.
    blocks
        Their names, in the same order.
    content
        The bytes of what changes.
    version
        Steps that are in it.
    frozen
        The bytes of what does not, by block; a block without any may be missing.
    """
    names = tuple(blocks)
    _make_slots(replica, names, version)
    _unpack(content, (tensor for block in names for tensor in _changing(replica, block)))
    for block in names:
        if block in frozen:
            _unpack(frozen[block], _frozen(replica, block))


def _make_slots(replica: Replica, blocks: tuple[str, ...], version: int) -> None:
    if replica.optimizer is None:
        return
    for block in blocks:
        for weight in replica.net.weights(block).values():
            if weight.requires_grad and (slots := _SLOTS[replica.job.optimizer]):
                replica.optimizer.state[weight] = {slot: torch.zeros_like(weight) for slot in slots}
                if replica.job.optimizer == "adamw":
                    replica.optimizer.state[weight]["step"] = torch.tensor(float(version))


def _changing(replica: Replica, block: str) -> Iterator[Tensor]:
    """Yield trained weights, each with its optimizer state."""
    for weight in replica.net.weights(block).values():
        if weight.requires_grad and replica.optimizer is not None:
            yield weight.detach()
            state = replica.optimizer.state[weight]
            yield from (state[slot] for slot in _SLOTS[replica.job.optimizer])


def _frozen(replica: Replica, block: str) -> Iterator[Tensor]:
    return (weight.detach() for weight in replica.net.weights(block).values() if not weight.requires_grad)


def _packed(tensors: Iterable[Tensor]) -> Tensor:
    parts = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.uint8)


def _unpack(content: Tensor, tensors: Iterable[Tensor]) -> None:
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            size = tensor.numel() * tensor.element_size()
            part = content[start : start + size].clone().view(tensor.dtype)
            tensor.copy_(part.view_as(tensor))
            start += size
