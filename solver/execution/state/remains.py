"""Remains: what workers that outlive a failure leave behind, and the checkpoint that is put together of it.

After a failure nothing can be sent any more, so every worker writes what it holds to a folder of its own::

    part-nano0/
        part.json
        00-patches.safetensors
        ...
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from models.document import Document, read, validate
from models.errors import InputError
from models.nets.shard import Shard
from solver.execution.passes.replica import Replica
from solver.execution.state.block_state import BlockState, Part, joined, state_of
from solver.execution.state.checkpoint import About, Entry, load_entry
from solver.execution.state.gather import needed
from solver.execution.state.writer import Writer

PART = "part.json"
_PREFIX = "part-"


class Interval(Document):
    """Which part of a parameter was held; see :class:`models.nets.shard.Shard`.

    Parameters
    ----------
    axis, start, stop, size
        As there.
    """

    axis: int
    start: int
    stop: int
    size: int


class Left(Document):
    """What a worker left.

    Parameters
    ----------
    device
        Its device.
    about
        What it is of.
    trains
        Whether it changes in training; else it is of every step.
    blocks
        Their files.
    cuts
        Their cut parameters.
    """

    device: str
    about: About
    trains: bool
    blocks: dict[str, Entry]
    cuts: dict[str, dict[str, Interval]]


def leave(
    folder: Path,
    device: str,
    replica: Replica,
    about: About,
    *,
    name: str | None = None,
    blocks: Iterable[str] | None = None,
) -> Path:
    """Write what a worker holds; return where.

    Parameters
    ----------
    folder
        Folder of the checkpoints; made if missing.
    device, replica
        The worker.
    about
        What it is of.
    name
        Of its folder there; made from the device's if ``None``.
    blocks
        Which of its blocks; all if ``None``.

    Raises
    ------
    OSError
        If it cannot be written; no file is left then.
    """
    name = name or _PREFIX + safe(device)
    writer = Writer(folder, name)
    try:
        parts = {block: state_of(replica, block) for block in blocks or replica.net.blocks}
        for block, part in parts.items():
            writer.add(block, part.state)
        held = Left(
            device=device,
            about=about,
            trains=bool(replica.trained_weights()),
            blocks=writer.entries,
            cuts={
                block: {key: Interval(**vars(cut)) for key, cut in part.cuts.items()}
                for block, part in parts.items()
            },
        )
        return writer.publish(name, PART, held)
    except OSError:
        writer.abandon()
        raise


def safe(device: str) -> str:
    """Return a device's name as a folder may be called."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", device)


def put_together(folder: Path, blocks: tuple[str, ...]) -> Path | None:
    """Make one checkpoint of what workers left, and remove that; ``None`` if none left anything.

    Parameters
    ----------
    folder
        Folder of the checkpoints.
    blocks
        Names of all blocks; those that cannot be made whole are missing in it.

    Notes
    -----
    Workers may have stopped on either side of an update. The step at which most blocks are whole counts, the
    later one of two.
    """
    found: list[tuple[Path, Left]] = []
    for place in sorted(folder.glob(f"{_PREFIX}*")):
        try:
            found.append((place, validate(Left, read(place / PART), str(place))))
        except InputError:
            continue
    if not found:
        return None
    steps = Counter({held.about.step: 0 for _, held in found})
    for step in steps:
        steps[step] = sum(_whole(found, block, step) is not None for block in blocks)
    step = max(steps, key=lambda step: (steps[step], step))
    writer = Writer(folder)
    missing = []
    try:
        for block in blocks:
            state = _whole(found, block, step)
            if state is None:
                missing.append(block)
            else:
                writer.add(block, state)
        about = next(held.about for _, held in found if held.about.step == step)
        path = writer.finish(about, tuple(missing))
    except OSError:
        writer.abandon()
        raise
    for place, _ in found:
        shutil.rmtree(place, ignore_errors=True)
    return path


def _whole(found: list[tuple[Path, Left]], block: str, step: int) -> BlockState | None:
    """Return a block as it was after a step, ``None`` if nobody left all of it."""
    parts = {}
    for place, held in found:
        if block in held.blocks and (held.about.step == step or not held.trains):
            cuts = {key: Shard(**cut.model_dump()) for key, cut in held.cuts[block].items()}
            parts[held.device] = Part(load_entry(place, held.blocks[block]), cuts)
    if not parts:
        return None
    chosen = needed({name: dict(part.cuts) for name, part in parts.items()})
    try:
        return joined(parts[name] for name in chosen)
    except LookupError:
        return None
