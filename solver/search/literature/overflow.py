"""Overflow: heads and columns shared out by capacity, and pushed from full devices to those with room."""

from __future__ import annotations

from dataclasses import dataclass

from solver.layout import apportion
from solver.problem import Problem


@dataclass(frozen=True)
class Units:
    """What mode tensor cuts, and what it weighs; N heads and C columns, 0 where nothing is cut so.

    Parameters
    ----------
    heads, columns
        N and C.
    head_bytes, column_bytes
        Memory of one head, and of one column, in all blocks that are cut so.
    whole_bytes
        Memory every device needs whatever its share.
    """

    heads: int
    columns: int
    head_bytes: float
    column_bytes: float
    whole_bytes: float


def units_of(problem: Problem, samples: int) -> Units:
    """Return what may be shared out, and its memory with one micro-batch in flight.

    Parameters
    ----------
    problem
        What is decided.
    samples
        Samples of a micro-batch.
    """
    costs, cut_bytes, whole = problem.costs, {"heads": 0.0, "columns": 0.0}, 0.0
    most = {"heads": 0, "columns": 0}
    for block in problem.workload.blocks:
        cost, tensor = costs.block(block.name), block.tensor
        held = cost.weight_bytes + cost.trained_bytes + costs.state_bytes(cost.trained_bytes)
        kept = cost.kept_bytes * samples
        if tensor is None:
            whole += held + kept
            continue
        cut = cost.cut_weight_bytes + cost.cut_trained_bytes + costs.state_bytes(cost.cut_trained_bytes)
        kept_whole = min(kept, costs.bytes(tensor.kept_whole_bytes) * samples)
        word = "heads" if tensor.heads is not None else "columns"
        most[word] = max(most[word], tensor.heads or tensor.columns or 0)
        cut_bytes[word] += cut + kept - kept_whole
        whole += held - cut + kept_whole
    return Units(
        most["heads"],
        most["columns"],
        cut_bytes["heads"] / max(1, most["heads"]),
        cut_bytes["columns"] / max(1, most["columns"]),
        whole,
    )


def share_units(
    units: Units, capacity: dict[str, float], room_bytes: dict[str, float]
) -> tuple[dict[str, int], dict[str, int]] | None:
    """Return heads and columns of every device; ``None`` if what is left over has no room anywhere.

    Parameters
    ----------
    units
        What is shared out.
    capacity
        Speed of every device.
    room_bytes
        Memory of every device.

    Notes
    -----
    By capacity first. Then, while a device has too much, one column of it goes, else one head, to the device
    with room that has least of them for its capacity. A device without heads or columns is left out.
    """
    names = list(capacity)
    heads, columns = apportion(capacity, units.heads), apportion(capacity, units.columns)
    room = {name: room_bytes[name] - units.whole_bytes for name in names}

    def need(name: str) -> float:
        return heads[name] * units.head_bytes + columns[name] * units.column_bytes

    def push(table: dict[str, int], name: str, size: float) -> bool:
        fits = [other for other in names if other != name and need(other) + size <= room[other]]
        if not table[name] or not fits:
            return False
        target = min(fits, key=lambda other: (table[other] + 1) / capacity[other])
        table[name], table[target] = table[name] - 1, table[target] + 1
        return True

    for name in sorted(names, key=lambda name: room[name] - need(name)):
        while need(name) > room[name] and (heads[name] or columns[name]):
            moved = push(columns, name, units.column_bytes) or push(heads, name, units.head_bytes)
            if not moved:
                return None
    return heads, columns
