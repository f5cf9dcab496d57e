"""Gather: whole blocks are brought to the first worker and spread from it, between two steps.

This is control traffic: no part of the Program, and not counted as its bytes. Only one block at a time is
whole in the memory of the first worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from models.nets.shard import Shard
from solver.execution.network.transport import Transport
from solver.execution.passes.replica import Replica
from solver.execution.state.block_state import BlockState, Part, joined, packed, set_state, state_of, unpacked

_TABLE, _STATE = 2**30 + 1, 2**30 + 2
"""Tags beyond those of a Program's instructions."""

Cuts = dict[str, Shard]


class Gatherer:
    """Brings the state of blocks to the first worker, and from it to all who hold them.

    All workers must make it, and call its methods, at the same moment.

    Parameters
    ----------
    transport
        Of this worker.
    members
        All workers; the first of them collects.
    device
        This worker.
    replica
        What it holds.
    blocks
        Names of all blocks of the workload.
    """

    def __init__(
        self,
        transport: Transport,
        members: Sequence[str],
        device: str,
        replica: Replica,
        blocks: Sequence[str],
    ) -> None:
        self.transport, self.members, self.device, self.replica = transport, members, device, replica
        self.blocks = blocks
        own = {name: replica.shards[name] for name in replica.net.blocks}
        self.holders: dict[str, dict[str, Cuts]] = {name: {} for name in blocks}
        for member, table in zip(members, self._exchange(own), strict=True):
            for block, cuts in table.items():
                self.holders[block][member] = cuts

    def _exchange(self, own: dict[str, Cuts]) -> list[dict[str, Cuts]]:
        """Return what every worker holds, by way of the first one."""
        first, others = self.members[0], self.members[1:]
        if self.device != first:
            self.transport.tell_bytes(first, _TABLE, _as_bytes(own))
            self.transport.flush()
            text = bytes(self.transport.hear_bytes(first, _TABLE).numpy())
            return [_cuts_of(table) for table in json.loads(text)]
        found = [own]
        for name in others:
            found.append(_cuts_of(json.loads(bytes(self.transport.hear_bytes(name, _TABLE).numpy()))))
        for name in others:
            self.transport.tell_bytes(name, _TABLE, _as_bytes(found))
        self.transport.flush()
        return found

    def collect(self) -> Iterator[tuple[str, BlockState]]:
        """Yield every block with its whole state on the first worker; yield nothing elsewhere.

        Notes
        -----
        A block comes from the first device that holds it, a cut one from the first of those that hold the
        same part.
        """
        first = self.members[0]
        for block in self.blocks:
            holders = self.holders[block]
            senders = needed(holders)
            if self.device == first:
                parts = [self._part(name, block, holders[name]) for name in senders]
                yield block, joined(parts)
            elif self.device in senders:
                self.transport.tell_bytes(first, _STATE, packed(state_of(self.replica, block).state))
                self.transport.flush()

    def _part(self, source: str, block: str, cuts: Cuts) -> Part:
        if source == self.device:
            return state_of(self.replica, block)
        return Part(unpacked(self.transport.hear_bytes(source, _STATE)), cuts)

    def spread(self, load: Callable[[str], BlockState]) -> None:
        """Give every worker its part of every block.

        Parameters
        ----------
        load
            Returns the whole state of a block; called on the first worker only.
        """
        first = self.members[0]
        for block in self.blocks:
            others = [name for name in self.holders[block] if name != first]
            if self.device == first:
                state = load(block)
                content = packed(state) if others else None
                for name in others:
                    assert content is not None
                    self.transport.tell_bytes(name, _STATE, content)
                if first in self.holders[block]:
                    set_state(self.replica, block, state)
                self.transport.flush()
            elif self.device in others:
                content = self.transport.hear_bytes(first, _STATE)
                set_state(self.replica, block, unpacked(content))


def needed(holders: dict[str, Cuts]) -> list[str]:
    """Return the first holders who together have the whole block.

    Parameters
    ----------
    holders
        Device to its cut parameters, in the order of preference.
    """
    found: list[str] = []
    seen: set[tuple[tuple[str, int, int], ...]] = set()
    for name, cuts in holders.items():
        key = tuple(sorted((parameter, cut.start, cut.stop) for parameter, cut in cuts.items()))
        if key not in seen and (cuts or not found):
            found.append(name)
            seen.add(key)
        if not cuts:
            return [name]
    return found


def _as_bytes(data: object) -> Tensor:
    text = json.dumps(data, default=asdict)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _cuts_of(table: dict[str, dict[str, dict[str, int]]]) -> dict[str, Cuts]:
    return {block: {name: Shard(**cut) for name, cut in cuts.items()} for block, cuts in table.items()}
