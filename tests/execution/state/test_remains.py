"""What several workers leave after a failure becomes one checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from models import catalog
from models.nets.shard import Shard
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.state.block_state import state_of
from solver.execution.state.checkpoint import About, Checkpoint
from solver.execution.state.remains import leave, put_together
from solver.job import Job

VIT = catalog.workload("vit_digits")
JOB = Job.model_validate({"batch": 8, "optimizer": "momentum"})
ONE, TWO = VIT.order[:2]


def replica(*blocks: str, seed: int = 0) -> Replica:
    return Replica(Tuning(VIT, JOB), Held.whole(blocks), seed, None)


def about(step: int) -> About:
    words = {"workload": VIT.name, "workload_sha256": VIT.digest, "job": JOB}
    return About(step=step, seed=0, samples=8 * step, losses=(1.0,) * step, **words)


def test_blocks_of_the_step_at_which_most_are_whole(tmp_path: Path) -> None:
    both, late = replica(ONE, TWO), replica(ONE, seed=1)
    leave(tmp_path, "a", both, about(4))
    leave(tmp_path, "b/x", late, about(5))
    path = put_together(tmp_path, (ONE, TWO))
    assert path == tmp_path / "step-00000004"
    assert list(tmp_path.iterdir()) == [path]
    found = Checkpoint.open(path).block(ONE)
    for name, tensor in state_of(both, ONE).state.weights.items():
        assert torch.equal(found.weights[name], tensor)


def test_of_two_steps_with_as_many_blocks_the_later_one_counts(tmp_path: Path) -> None:
    leave(tmp_path, "a", replica(ONE), about(4))
    leave(tmp_path, "b", replica(TWO), about(5))
    path = put_together(tmp_path, (ONE, TWO))
    assert path == tmp_path / "step-00000005-incomplete"
    assert Checkpoint.open(path).manifest.missing == (ONE,)


def test_what_is_not_trained_is_of_every_step(tmp_path: Path) -> None:
    frozen = Replica(Tuning(VIT, JOB.model_copy(update={"frozen": (ONE,)})), Held.whole([ONE]), 0, None)
    leave(tmp_path, "a", frozen, about(0))
    leave(tmp_path, "b", replica(TWO), about(3))
    assert put_together(tmp_path, (ONE, TWO)) == tmp_path / "step-00000003"


def test_cut_block_is_whole_only_if_all_its_parts_are_left(tmp_path: Path) -> None:
    name = next(name for name, p in replica(TWO).net.blocks[TWO].named_parameters() if p.dim() == 2)
    parts = []
    for start, stop in ((0, 3), (3, 8)):
        part = replica(TWO)
        parameter = dict(part.net.blocks[TWO].named_parameters())[name]
        parameter.data = torch.arange(16.0).view(8, 2)[start:stop]
        part.shards[TWO] = {name: Shard(0, start, stop, 8)}
        parts.append(part)
    leave(tmp_path, "a", parts[0], about(1))
    path = put_together(tmp_path, (TWO,))
    assert path is not None
    assert Checkpoint.open(path).manifest.missing == (TWO,)
    for device, part in zip("ab", parts, strict=True):
        leave(tmp_path, device, part, about(1))
    path = put_together(tmp_path, (TWO,))
    assert path == tmp_path / "step-00000001"
    assert torch.equal(Checkpoint.open(path).block(TWO).weights[name], torch.arange(16.0).view(8, 2))


def test_nothing_left_is_nothing(tmp_path: Path) -> None:
    assert put_together(tmp_path, (ONE,)) is None
