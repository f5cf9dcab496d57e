from __future__ import annotations

from itertools import pairwise

from models import catalog
from solver.execution.network.turns import turns
from solver.lowering import lower
from solver.program import Kind
from tests.execution import plans

VIT = catalog.workload("vit_digits")


def test_messages_on_a_switch_follow_those_of_their_own_lanes_only() -> None:
    # a0 -> b, a1 -> b, ... share a's send lane and b's receive lane; b -> a share the others.
    program = lower(plans.chain_plan(), VIT, plans.cluster("a", "b"))
    sends = [i for i in range(len(program)) if program.rows[program.row[i]].kind == Kind.SEND]
    there = [i for i in sends if program.rows[program.row[i]].peer == "b"]
    found = turns(program)
    assert [found[i].decider for i in there] == ["b", "b", "b"]
    assert [[n for n, _ in found[i].before] for i in there] == [[], [there[0]], [there[1]]]
    assert [[n for n, _ in found[i].after] for i in there] == [[there[1]], [there[2]], []]


def test_on_a_shared_medium_every_transfer_follows_the_one_before() -> None:
    program = lower(plans.chain_plan(), VIT, plans.cluster("a", "b", shared=True))
    sends = [i for i in range(len(program)) if program.rows[program.row[i]].kind == Kind.SEND]
    found = turns(program)
    for before, here in pairwise(sends):
        assert before in [number for number, _ in found[here].before]


def test_the_first_member_decides_for_a_collective() -> None:
    program = lower(plans.data_plan(), VIT, plans.cluster("a", "b"))
    (turn,) = turns(program).values()
    row = program.rows[program.row[turn.number]]
    assert (turn.decider, row.device, row.members) == ("a", "a", 2)
