"""What a block is, whole, whoever holds which part of it."""

from __future__ import annotations

import torch
from torch import Tensor

from models import catalog
from models.nets.shard import Shard
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.state.block_state import (
    BlockState,
    Part,
    joined,
    layout_of,
    packed,
    set_state,
    state_of,
    unpacked,
)
from solver.job import Job

VIT = catalog.workload("vit_digits")
BLOCK = VIT.order[1]


def replica(seed: int, optimizer: str = "adamw", updates: int = 0) -> Replica:
    """The second block of the small transformer, after some updates with gradients of one."""
    job = Job.model_validate({"batch": 8, "optimizer": optimizer})
    found = Replica(Tuning(VIT, job), Held.whole([BLOCK]), seed, 0.1)
    for _ in range(updates):
        for flat in found.gradients.values():
            flat.fill_(1.0)
        found.update()
    return found


def all_tensors(state: BlockState) -> dict[str, Tensor]:
    return state.weights | state.optimizer_table()


def assert_same(found: BlockState, wanted: BlockState) -> None:
    assert all_tensors(found).keys() == all_tensors(wanted).keys()
    for name, tensor in all_tensors(wanted).items():
        assert torch.equal(all_tensors(found)[name], tensor), name


def test_state_has_weights_and_the_optimizers_tensors_by_name_of_the_parameter() -> None:
    first = replica(0, updates=3)
    state = state_of(first, BLOCK).state
    names = {name for name, _ in first.net.blocks[BLOCK].named_parameters()}
    assert set(state.weights) == set(first.net.blocks[BLOCK].state_dict())
    assert set(state.optimizer) == {"step", "exp_avg", "exp_avg_sq"}
    assert all(set(named) == names for named in state.optimizer.values())
    assert all(float(tensor) == 3 for tensor in state.optimizer["step"].values())
    weights = sum(t.numel() * 4 for t in state.weights.values())
    assert state.num_bytes == 3 * weights + 4 * len(names)


def test_before_the_first_update_and_with_sgd_there_is_no_optimizer_state() -> None:
    assert state_of(replica(0), BLOCK).state.optimizer == {}
    assert state_of(replica(0, "sgd", updates=1), BLOCK).state.optimizer == {}


def test_another_replica_goes_on_from_a_state_as_the_first_one_does() -> None:
    first, second = replica(0, updates=2), replica(1, updates=1)
    set_state(second, BLOCK, unpacked(packed(state_of(first, BLOCK).state)))
    assert_same(state_of(second, BLOCK).state, state_of(first, BLOCK).state)
    for one in (first, second):
        for flat in one.gradients.values():
            flat.fill_(0.5)
        one.update()
    assert_same(state_of(second, BLOCK).state, state_of(first, BLOCK).state)


def test_taking_a_state_copies_it() -> None:
    first, second = replica(0, updates=1), replica(1)
    set_state(second, BLOCK, state_of(first, BLOCK).state)
    kept = unpacked(packed(state_of(second, BLOCK).state))
    for flat in first.gradients.values():
        flat.fill_(1.0)
    first.update()
    assert_same(state_of(second, BLOCK).state, kept)


def test_a_state_from_before_the_first_update_clears_what_the_optimizer_knew() -> None:
    first, second = replica(0), replica(1, updates=2)
    set_state(second, BLOCK, state_of(first, BLOCK).state)
    assert state_of(second, BLOCK).state.optimizer == {}


def test_parts_of_cut_parameters_are_joined_in_their_order_and_the_rest_is_the_firsts() -> None:
    whole = torch.arange(12.0).view(4, 3)
    cuts = [Shard(0, 1, 4, 4), Shard(0, 0, 1, 4), Shard(0, 0, 2, 4)]
    parts = [
        Part(
            BlockState(
                {"w": whole[cut.start : cut.stop], "b": torch.tensor([float(k)])},
                {"step": {"w": torch.tensor(5.0)}, "exp_avg": {"w": -whole[cut.start : cut.stop]}},
            ),
            {"w": cut},
        )
        for k, cut in enumerate(cuts)
    ]
    found = joined(parts)
    assert torch.equal(found.weights["w"], whole)
    assert torch.equal(found.weights["b"], torch.tensor([0.0]))
    assert torch.equal(found.optimizer["exp_avg"]["w"], -whole)
    assert float(found.optimizer["step"]["w"]) == 5


def test_layout_is_that_of_the_weights() -> None:
    net = replica(0).net
    assert layout_of(net, BLOCK) == {
        name: (tuple(tensor.shape), torch.float32) for name, tensor in net.blocks[BLOCK].state_dict().items()
    }
