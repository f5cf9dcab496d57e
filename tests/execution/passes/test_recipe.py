"""What a worker's passes consist of, with its modules at hand."""

from __future__ import annotations

import torch

from solver.execution.passes.recipe import Piece, Recipes, Step
from solver.execution.passes.replica import Replica
from solver.execution.passes.script import Exchange
from solver.execution.passes.tuning import Tuning
from solver.execution.passes.worklist import Task, Worklist
from solver.lowering import lower
from solver.plan import Plan
from solver.program import Kind
from tests.execution import plans
from tests.execution.test_run import FOUR, VIT


def recipes(plan: Plan, device: str) -> Recipes:
    worklist = Worklist(device, lower(plan, VIT, FOUR), plan, VIT, FOUR)
    return Recipes(worklist, Replica(Tuning.of(plan, VIT, device), worklist.held, 0, None))


def tasks(found: Recipes, kind: Kind) -> list[Task]:
    return [task for task in found.worklist.tasks if task.instruction.row.kind == kind]


def test_micro_batches_of_a_kind_share_their_steps() -> None:
    found = recipes(plans.chain_plan(), "a")
    first, second, third = (found.forward(task) for task in tasks(found, Kind.FORWARD))
    assert [node.block for node in first if isinstance(node, Step)] == plans.VIT[:5]
    assert all(a is b is c for a, b, c in zip(first, second, third, strict=True))


def test_only_what_leaves_the_stage_crosses() -> None:
    found = recipes(plans.chain_plan(), "a")
    steps = [node for node in found.forward(tasks(found, Kind.FORWARD)[0]) if isinstance(node, Step)]
    assert [crosses for step in steps for _, crosses in step.writes] == [False, False, False, False, True]
    assert [step.source for step in steps] == [(0, 4), None, None, None, None]
    assert all(step.sink is None for step in steps)


def test_a_step_computes_what_the_block_does() -> None:
    found = recipes(plans.chain_plan(), "a")
    step = found.forward(tasks(found, Kind.FORWARD)[0])[1]
    assert isinstance(step, Step)
    given = torch.randn(4, 64, 144, generator=torch.Generator().manual_seed(0))
    assert torch.equal(step.compute([given])[0], found.replica.net.blocks[plans.VIT[1]](given))


def test_a_loss_is_averaged_over_the_samples_of_the_step() -> None:
    found = recipes(plans.chain_plan(), "b")
    last = found.forward(tasks(found, Kind.FORWARD)[0])[-1]
    assert isinstance(last, Step) and last.sink is not None
    assert (last.sink.factor, last.sink.samples, last.sink.tokens) == (1 / 12, (0, 4), None)  # 3 x 4 samples
    assert last.sink.counts


def test_a_pass_without_exchanges_goes_back_in_one_piece() -> None:
    found = recipes(plans.chain_plan(), "b")
    assert [found.backward(task) for task in tasks(found, Kind.BACKWARD)] == [(Piece(0, None),)] * 3


def test_a_group_adds_the_gradients_of_uncut_weights_once() -> None:
    # Both compute with the same norms and biases: where these are summed with another pipeline's, the first
    # brings their gradients for both, and the second adds to those of its cut weights alone.
    stages = [
        {"blocks": plans.VIT, "mode": "tensor", "shares": {"a": 5, "b": 7}},
        {"blocks": plans.VIT, "shares": {"c": 4}},
    ]
    pair = [{"micro_batches": 1, "samples": 4, "stages": [stage]} for stage in stages]
    plan = plans.plan(pair)
    for device, echoes in (("a", False), ("b", True)):
        found = recipes(plan, device)
        pieces = [
            node
            for task in tasks(found, Kind.BACKWARD)
            for node in found.backward(task)
            if isinstance(node, Piece)
        ]
        assert pieces and all((piece.weights is not None) == echoes for piece in pieces)


def test_collectives_are_no_part_of_what_follows_on_them() -> None:
    stage = {"blocks": plans.VIT, "mode": "tensor", "shares": {"a": 5, "b": 7}}
    found = recipes(plans.plan([{"micro_batches": 1, "samples": 4, "stages": [stage]}]), "a")
    forward = [
        n for t in found.worklist.tasks if t.instruction.row.phase == "forward" for n in found.forward(t)
    ]
    assert {node.kind for node in forward if isinstance(node, Exchange)} == {"copy"}  # sums are collectives
    backward = [
        n for t in found.worklist.tasks if t.instruction.row.phase == "backward" for n in found.backward(t)
    ]
    assert {node.kind for node in backward if isinstance(node, Exchange)} == {"sum"}  # copies are collectives
