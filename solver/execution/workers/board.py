"""Board: shared memory in which every worker of a pool notes that it lives and what it does."""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

from solver.execution.clock import now_ns

_PLACE = struct.Struct("=qqq")


class Note(NamedTuple):
    """What one worker noted last.

    Parameters
    ----------
    beat_ns
        When it was alive; 0: never.
    step, place
        Step, and place in the Program of the instruction it began; -1 before the first.
    """

    beat_ns: int
    step: int
    place: int


class Board:
    """One place per worker.

    Parameters
    ----------
    handle
        Open file descriptor of a file large enough.
    num_places
        How many.
    """

    def __init__(self, handle: int, num_places: int) -> None:
        self._memory = mmap.mmap(handle, num_places * _PLACE.size)

    @classmethod
    def create(cls, num_places: int) -> tuple[Board, int]:
        """Make an empty board in anonymous memory; return it and its file descriptor."""
        handle = os.memfd_create("partage-board")
        os.ftruncate(handle, num_places * _PLACE.size)
        board = cls(handle, num_places)
        for place in range(num_places):
            board.clear(place)
        return board, handle

    def clear(self, place: int) -> None:
        """Say that nobody was here yet."""
        _PLACE.pack_into(self._memory, place * _PLACE.size, 0, -1, -1)

    def live(self, place: int) -> None:
        """Note that a worker lives."""
        struct.pack_into("=q", self._memory, place * _PLACE.size, now_ns())

    def begin(self, place: int, step: int, index: int) -> None:
        """Note that a worker begins an instruction."""
        struct.pack_into("=qq", self._memory, place * _PLACE.size + 8, step, index)

    def read(self, place: int) -> Note:
        """Return what a worker noted last."""
        return Note(*_PLACE.unpack_from(self._memory, place * _PLACE.size))
