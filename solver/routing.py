"""Routing: which slices go from where to where, so that every device gets what it needs once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from solver.layout import Box


class Piece(NamedTuple):
    """A slice that one device sends another."""

    source: str
    target: str
    box: Box


def route(
    held: Mapping[str, Box], needed: Mapping[str, Box], distance: Callable[[str, str], float]
) -> list[Piece]:
    """Cover every need from the nearest holders.

    Parameters
    ----------
    held
        What each device holds; several may hold the same.
    needed
        What each device needs. What it holds itself is not sent.
    distance
        Seconds per byte from one device to another; 0 for the device itself.

    Returns
    -------
    list of Piece
        In order of the needing device, then of nearness; ties go to the first holder.

    Raises
    ------
    ValueError
        If a need is held by nobody.
    """
    pieces: list[Piece] = []
    names = list(held)
    for target, need in needed.items():
        rest = [need] if need.size else []
        order = sorted(names, key=lambda name, to=target: (name != to, distance(name, to)))
        for source in order:
            if not rest:
                break
            left: list[Box] = []
            for box in rest:
                overlap = box & held[source]
                if overlap.size == 0:
                    left.append(box)
                    continue
                if source != target:
                    pieces.append(Piece(source, target, overlap))
                left.extend(box - held[source])
            rest = left
        if rest:
            raise ValueError(f"{target} needs {rest[0]} and nobody holds it")
    return pieces
