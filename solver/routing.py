"""Routing: which slices go from where to where, so that every device gets what it needs once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from solver.layout import Box


class Piece(NamedTuple):
    """A slice that one device sends another."""

    source: str
    target: str
    box: Box


def route(
    held: Mapping[str, Box | Iterable[Box]],
    needed: Mapping[str, Box | Iterable[Box]],
    distance: Callable[[str, str], float],
) -> list[Piece]:
    """Cover every need from the nearest holders.

    Parameters
    ----------
    held
        What each device holds, one box or several; several devices may hold the same.
    needed
        What each device needs, one box or several disjoint ones. What it holds itself is not sent.
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
    has = {name: _boxes(part) for name, part in held.items()}
    for target, need in needed.items():
        rest = [box for box in _boxes(need) if box.size]
        order = sorted(has, key=partial(_nearness, target, distance))
        for source, part in [(name, part) for name in order for part in has[name]]:
            left: list[Box] = []
            for box in rest:
                overlap = box & part
                if overlap.size and source != target:
                    pieces.append(Piece(source, target, overlap))
                left.extend(box - part)
            rest = left
        if rest:
            raise ValueError(f"{target} needs {rest[0]} and nobody holds it")
    return pieces


def _boxes(part: Box | Iterable[Box]) -> list[Box]:
    return [part] if isinstance(part, Box) else list(part)


def _nearness(target: str, distance: Callable[[str, str], float], name: str) -> tuple[bool, float]:
    """Sort key: the device itself, then the nearest."""
    return name != target, distance(name, target)
