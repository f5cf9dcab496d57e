"""Copies: the state of other devices' stages that a worker keeps, as the backups of a plan say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    """

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self._kept: dict[StageKey, dict[int, Tensor]] = {}

    @property
    def num_bytes(self) -> int:
        """Size of all of them."""
        return sum(content.numel() for versions in self._kept.values() for content in versions.values())

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
        versions[version] = content
        for old in sorted(versions)[: -self.depth]:
            del versions[old]

    def clear(self) -> None:
        """Forget everything, as what a rehearsal sent: its steps have the numbers of real ones."""
        self._kept.clear()

    def of(self, stage: StageKey, version: int) -> Tensor | None:
        """Return a version of a stage, if it is kept."""
        return self._kept.get(stage, {}).get(version)


def packed_stage(replica: Replica, blocks: Iterable[str], num_bytes: int) -> Tensor:
    """Return weights and optimizer state of some blocks as bytes.

    Parameters
    ----------
    replica
        Holds them whole, and has done an update.
    blocks
        Their names.
    num_bytes
        What the Program says that they are.
    """
    parts = [tensor.detach().contiguous().view(-1).view(torch.uint8) for tensor in _tensors(replica, blocks)]
    content = torch.cat(parts) if parts else torch.empty(0, dtype=torch.uint8)
    if content.numel() != num_bytes:
        raise InternalError(f"a backup has {content.numel()} bytes, the Program says {num_bytes}")
    return content


def fill(replica: Replica, blocks: Iterable[str], content: Tensor, version: int) -> None:
    """Give a replica the state that :func:`packed_stage` made bytes of.

    Parameters
    ----------
    replica
        Holds the blocks whole.
    blocks
        Their names, in the same order.
    content
        The bytes.
    version
        Steps that are in it.
    """
    names = tuple(blocks)
    _make_slots(replica, names, version)
    start = 0
    with torch.no_grad():
        for tensor in _tensors(replica, names):
            size = tensor.numel() * tensor.element_size()
            part = content[start : start + size].clone().view(tensor.dtype)
            tensor.copy_(part.view_as(tensor))
            start += size


def _make_slots(replica: Replica, blocks: tuple[str, ...], version: int) -> None:
    if replica.optimizer is None:
        return
    for block in blocks:
        for weight in replica.net.blocks[block].parameters():
            if weight.requires_grad and (slots := _SLOTS[replica.job.optimizer]):
                replica.optimizer.state[weight] = {slot: torch.zeros_like(weight) for slot in slots}
                if replica.job.optimizer == "adamw":
                    replica.optimizer.state[weight]["step"] = torch.tensor(float(version))


def _tensors(replica: Replica, blocks: Iterable[str]) -> Iterator[Tensor]:
    for block in blocks:
        module = replica.net.blocks[block]
        yield from module.state_dict().values()
        for weight in module.parameters():
            if weight.requires_grad and replica.optimizer is not None:
                state = replica.optimizer.state[weight]
                yield from (state[slot] for slot in _SLOTS[replica.job.optimizer])
