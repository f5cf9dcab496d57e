"""State that moves between two plans."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models import catalog
from solver.errors import RunError
from solver.execution.elastic.removal import Removal, tie_owners
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.state.block_state import state_of
from solver.execution.state.copies import Copies, packed_stage
from tests.execution import plans

LETTERS = catalog.workload("gpt_letters")
NAMES = [block.name for block in LETTERS.blocks]


def test_the_copy_of_a_tied_head_is_restored_without_the_stage_of_its_embedding() -> None:
    """Device a has both ends, b the middle and a copy of the head; the momentum is sent too."""
    first, middle, last = NAMES[:1], NAMES[1:-1], NAMES[-1:]
    stages = (first, {"a": 4}), (middle, {"b": 4}), (last, {"a": 4})
    plan = plans.plan([plans.pipeline(1, 4, *stages)], "gpt_letters", backup=[{"stage": [0, 2], "on": "b"}])
    source = Replica(Tuning.of(plan, LETTERS), Held.whole((*first, *last)), 7, None)
    for weight in source.trained_weights():
        weight.grad = torch.ones_like(weight)
    source.update()
    copies = Copies(depth=2)
    trained = sum(w.numel() * 4 for w in source.net.weights(last[0]).values())
    copies.keep((0, 2), 1, packed_stage(source, last, 2 * trained))
    order = SimpleNamespace(seed=0, learning_rate=None)
    session: Any = SimpleNamespace(plan=plan, workload=LETTERS, order=order, device="b")
    move = {"block": last[0], "stage": [0, 2, last]}
    found = Removal(session, [], copies, 1)._part(move).state
    wanted = state_of(source, last[0]).state
    assert tie_owners(LETTERS, last) == first
    assert found.optimizer["momentum_buffer"].keys() == wanted.optimizer["momentum_buffer"].keys() != set()
    assert all(torch.equal(found.weights[name], one) for name, one in wanted.weights.items())
    with pytest.raises(RunError, match="keeps no copy"):
        Removal(session, [], copies, 2)._part(move)
