"""Removal: the state of blocks moves to where a new plan wants it, over the new generation's connections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from models.nets import catalog
from models.nets.shard import Shard
from models.workload import Workload
from solver.errors import RunError
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.state.block_state import BlockState, Part, joined, packed, set_state, state_of, unpacked
from solver.execution.state.copies import Copies, fill
from solver.execution.workers.session import Session

_TAG = 2**30 + 64
"""Tags beyond those of a Program's instructions and of checkpoints; two for each move."""


class Removal:
    """Moves the state of blocks into a new session's replica.

    Parameters
    ----------
    session
        The new one; its connections are up.
    own
        Replicas of earlier generations, at the version that counts; the later goes first.
    copies
        What this member keeps for others.
    version
        Steps that count.
    """

    def __init__(self, session: Session, own: Sequence[Replica], copies: Copies, version: int) -> None:
        self.session, self.copies, self.version = session, copies, version
        self.own = list(reversed(own))
        self._restored: dict[tuple[int, int], Replica] = {}

    def carry_out(self, moves: Sequence[dict[str, Any]]) -> None:
        """Send and receive; all members do this with the same list.

        Parameters
        ----------
        moves
            Block, sources, target, and the stage (pipeline, number, blocks) whose copy the source sends if it
            does not hold the block itself.
        """
        device, transport = (
            self.session.device,
            self.session.connect(self.session.members, self.session.device, self.session.order.limit_s),
        )
        moving = {move["block"] for move in moves if move["target"] == device}
        for block in self.session.replica.net.blocks:
            if block not in moving:
                self._keep(block)
        for i, move in enumerate(moves):
            if device in move["sources"] and device != move["target"]:
                part = self._part(move)
                transport.tell_bytes(move["target"], _TAG + 2 * i, _cuts_as_bytes(part))
                transport.tell_bytes(move["target"], _TAG + 2 * i + 1, packed(part.state))
        for i, move in enumerate(moves):
            if device == move["target"]:
                parts = []
                for source in move["sources"]:
                    if source == device:
                        parts.append(self._part(move))
                        continue
                    cuts = _cuts_of(transport.hear_bytes(source, _TAG + 2 * i))
                    parts.append(Part(unpacked(transport.hear_bytes(source, _TAG + 2 * i + 1)), cuts))
                set_state(self.session.replica, move["block"], joined(parts))
        transport.flush()

    def _keep(self, block: str) -> None:
        """Take over a block this member held before."""
        part = self._own_part(block)
        new = self.session.replica
        if part is None:
            raise RunError(f"{self.session.device} was to hold {block} already, and does not")
        if part.cuts == new.shards[block]:
            _set_same(new, block, part.state)
        else:
            set_state(new, block, joined([part]))

    def _own_part(self, block: str) -> Part | None:
        return next((state_of(one, block) for one in self.own if block in one.net.blocks), None)

    def _part(self, move: dict[str, Any]) -> Part:
        """Return what this member sends of a block."""
        stage = move["stage"]
        if stage is None:
            part = self._own_part(move["block"])
            if part is None:
                raise RunError(f"{self.session.device} was to send {move['block']}, and does not hold it")
            return part
        key, blocks = (stage[0], stage[1]), tuple(stage[2])
        if key not in self._restored:
            self._restored[key] = self._restore(key, blocks)
        return state_of(self._restored[key], move["block"])

    def _restore(self, key: tuple[int, int], blocks: tuple[str, ...]) -> Replica:
        """Return a replica of a stage as the copy of it says, with the blocks whose weights it shares."""
        session, content = self.session, self.copies.of(key, self.version)
        tuning = Tuning.of(session.plan, session.workload)
        built = Held.whole(dict.fromkeys((*tie_owners(session.workload, blocks), *blocks)))
        replica = Replica(tuning, built, session.order.seed, session.order.learning_rate)
        trained = (w for block in blocks for w in replica.net.weights(block).values() if w.requires_grad)
        if content is None and not any(True for _ in trained):
            content = torch.empty(0, dtype=torch.uint8)  # nothing of it changes, nothing was renewed
        if content is None:
            raise RunError(f"{session.device} keeps no copy of stage {key} after {self.version} steps")
        fill(replica, blocks, content, self.version, self.copies.frozen)
        return replica


def tie_owners(workload: Workload, blocks: Iterable[str]) -> list[str]:
    """Return the blocks to which weights belong that some blocks use too.

    Parameters
    ----------
    workload
        Names its net.
    blocks
        Those that use them.
    """
    inside = set(blocks)
    specs = catalog.spec(workload.net).blocks if workload.net is not None else ()
    return [owner for one in specs if one.name in inside for owner, _ in one.ties.values()]


def _set_same(replica: Replica, block: str, state: BlockState) -> None:
    """Copy a part of a block into a replica that holds the same part."""
    module = replica.net.blocks[block]
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(state.weights[name])
    for name, weight in module.named_parameters() if replica.optimizer is not None else ():
        slots = {slot: named[name].clone() for slot, named in state.optimizer.items() if name in named}
        if weight.requires_grad and slots:
            assert replica.optimizer is not None
            replica.optimizer.state[weight] = slots


def _cuts_as_bytes(part: Part) -> Tensor:
    text = json.dumps({name: asdict(cut) for name, cut in part.cuts.items()})
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _cuts_of(content: Tensor) -> dict[str, Shard]:
    return {name: Shard(**cut) for name, cut in json.loads(content.numpy().tobytes()).items()}
