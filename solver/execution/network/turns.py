"""Turns: who used a lane before and who uses it next, so that transfers keep the Program's order."""

from __future__ import annotations

from dataclasses import dataclass

from solver.program import Kind, Program


@dataclass(frozen=True)
class Turn:
    """Place of one transfer (a message or a collective) on all its lanes.

    Parameters
    ----------
    number
        Index of its send, or of the first member's row of its collective.
    decider
        Device that decides when it starts: the receiver, or the first member.
    before, after
        (number, decider) of the transfers just before it and just after it on its lanes.
    """

    number: int
    decider: str
    before: tuple[tuple[int, str], ...]
    after: tuple[tuple[int, str], ...]


def turns(program: Program) -> dict[int, Turn]:
    """Return the turn of every transfer by its number.

    Parameters
    ----------
    program
        One step.
    """
    last: dict[int, tuple[int, str]] = {}
    before: dict[int, dict[tuple[int, str], None]] = {}
    after: dict[int, dict[tuple[int, str], None]] = {}
    decider: dict[int, str] = {}
    for index, r in enumerate(program.row.tolist()):
        row = program.rows[r]
        if row.kind == Kind.SEND:
            number, decider[index], lanes = index, row.peer or "", row.lanes
        elif row.kind == Kind.COLLECTIVE and row.members:
            number, decider[index] = index, row.device
            others = range(index, index + row.members)
            lanes = tuple({lane for j in others for lane in program.rows[program.row[j]].lanes})
        else:
            continue
        here = (number, decider[number])
        before[number], after[number] = {}, {}
        for lane in lanes:
            if lane in last:
                before[number][last[lane]] = None
                after[last[lane][0]][here] = None
            last[lane] = here
    return {n: Turn(n, decider[n], tuple(before[n]), tuple(after[n])) for n in decider}
