"""A run that goes on from a checkpoint, by whatever plan, trains as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models import catalog
from models.errors import InputError
from models.workload import Workload
from solver.execution.run import RunResult, run
from solver.execution.state.checkpoint import MANIFEST, all_of, newest
from solver.execution.state.resume import resumed
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from tests.execution import plans

VIT = catalog.workload("vit_digits")
FOUR = plans.cluster("a", "b", "c", "d")


def alone(**rest: object) -> Plan:
    return plans.plan([plans.pipeline(2, 8, (plans.VIT, {"c": 8}))], **rest)


def execute(plan: Plan, pool: LocalPool, **rest: object) -> RunResult:
    return run(plan, VIT, FOUR, **{"mode": "raw", "pool": pool, **rest})


@pytest.mark.parametrize(
    ("words", "limit"),
    [({"optimizer": "adamw", "precision": "fp64"}, 1e-10), ({"optimizer": "sgd"}, 1e-5)],
)
def test_four_devices_then_two_then_one(
    words: dict[str, str], limit: float, pool: LocalPool, tmp_path: Path
) -> None:
    first = execute(plans.hybrid_plan(**words), pool, steps=3, out=tmp_path, checkpoint_every=3)
    assert [one["step"] for one in first.trace.checkpoints] == [3]
    second = execute(
        plans.data_plan(**words), pool, steps=5, out=tmp_path, resume=tmp_path, keep_checkpoint=True
    )
    assert len(second.trace.earlier_losses) == 3
    assert len(second.trace.losses) == 2
    found = execute(alone(**words), pool, steps=7, out=tmp_path, resume=tmp_path).to_json()
    assert len(found["losses"]) == len(found["reference_losses"]) == 7
    assert found["losses"][:3] == list(first.trace.losses)
    assert found["max_relative_loss_difference"] <= limit
    assert found["max_relative_weight_difference"] <= limit


def test_adapters_go_on_too(pool: LocalPool, tmp_path: Path) -> None:
    words = {"tune": "lora", "lora_rank": 2, "trained": plans.VIT[-1:], "optimizer": "adamw"}
    execute(plans.chain_plan(**words), pool, steps=2, out=tmp_path, keep_checkpoint=True, reference=False)
    found = execute(
        plans.plan([plans.pipeline(3, 4, (plans.VIT, {"c": 4}))], **words), pool, steps=4, resume=tmp_path
    )
    assert found.to_json()["max_relative_loss_difference"] <= 1e-5
    assert found.to_json()["max_relative_weight_difference"] <= 1e-5
    with pytest.raises(InputError, match="lora_rank"):
        execute(plans.chain_plan(**{**words, "lora_rank": 3}), pool, steps=4, resume=tmp_path)


def test_padded_run_with_a_rehearsal_begins_at_the_checkpoint(pool: LocalPool, tmp_path: Path) -> None:
    execute(plans.chain_plan(), pool, steps=2, out=tmp_path, keep_checkpoint=True, reference=False)
    result = execute(plans.chain_plan(), pool, steps=3, mode="padded", resume=tmp_path)
    assert result.to_json()["max_relative_loss_difference"] <= 1e-5
    assert result.to_json()["max_relative_weight_difference"] <= 1e-5


@pytest.fixture(scope="module")
def saved(pool: LocalPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps with a checkpoint after each."""
    out = tmp_path_factory.mktemp("saved")
    execute(plans.data_plan(), pool, steps=2, out=out, checkpoint_every=1, reference=False)
    return out


def faults(path: Path, plan: Plan | None = None, **words: object) -> dict[str, str]:
    told = {"steps": 9, "seed": None, "learning_rate": None, **words}
    with pytest.raises(InputError) as caught:
        resumed(path, plan or plans.data_plan(), VIT, **told)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_seed_and_learning_rate_are_those_of_the_checkpoint(saved: Path) -> None:
    found = resumed(saved, plans.data_plan(), VIT, steps=9, seed=None, learning_rate=None)
    assert (found.manifest.about.seed, found.manifest.about.step) == (0, 2)
    assert found.manifest.about.samples == 2 * 16


def test_every_word_that_differs_is_named(saved: Path) -> None:
    plan = plans.plan(
        [plans.pipeline(1, 4, (plans.VIT, {"a": 4}))],
        optimizer="adamw",
        precision="fp64",
        frozen=plans.VIT[:1],
    )
    found = faults(saved, plan, seed=5, learning_rate=0.5, steps=2)
    wanted = {f"about.job.{word}" for word in ("batch", "optimizer", "precision", "frozen")}
    wanted |= {"about.seed", "about.learning_rate", "about.step"}
    assert wanted <= set(found)
    assert "momentum" in found["about.job.optimizer"]
    assert "F32" in found[f"blocks.{plans.VIT[0]}.{next(iter(_weights(saved)))}"]


def _weights(saved: Path) -> list[str]:
    found = resumed(saved, plans.data_plan(), VIT, steps=9, seed=None, learning_rate=None)
    return sorted(found.shapes(plans.VIT[0]))


def test_another_workload_is_a_fault(saved: Path) -> None:
    data = VIT.model_dump(mode="json", by_alias=True)
    edges = [edge for edge in data["edges"] if plans.VIT[0] not in edge.values()]
    words = {"name": "shorter", "blocks": data["blocks"][1:], "edges": edges}
    other = Workload.model_validate({**data, **words})
    with pytest.raises(InputError) as caught:
        resumed(saved, plans.data_plan(), other, steps=9, seed=None, learning_rate=None)
    paths = [fault.path for fault in caught.value.faults]
    assert "about.workload_sha256" in paths
    assert f"blocks.{VIT.order[0]}" in paths


def test_a_damaged_file_a_missing_file_and_a_missing_block_are_all_told(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    newest_one = newest(saved)
    assert newest_one is not None
    shutil.copytree(newest_one, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    names = list(manifest["blocks"])
    damaged = folder / manifest["blocks"][names[0]]["weights"]["name"]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    (folder / manifest["blocks"][names[1]]["optimizer"]["name"]).unlink()
    del manifest["blocks"][names[2]]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    found = faults(folder)
    assert set(found) == {f"blocks.{name}" for name in names[:3]}
    assert "sha256" in found[f"blocks.{names[0]}"]
    assert "cannot read" in found[f"blocks.{names[1]}"]
    assert "does not have" in found[f"blocks.{names[2]}"]


def test_a_damaged_newest_checkpoint_does_not_keep_the_one_before_from_being_given(
    saved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(saved, out)
    before, last = all_of(out)
    (last / MANIFEST).write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        resumed(out, plans.data_plan(), VIT, steps=9, seed=None, learning_rate=None)
    found = resumed(before, plans.data_plan(), VIT, steps=9, seed=None, learning_rate=None)
    assert found.manifest.about.step == 1


def test_a_folder_without_checkpoints_is_a_fault(tmp_path: Path) -> None:
    assert "holds no whole checkpoint" in faults(tmp_path)["resume"]


def test_rounds_go_on_after_a_round(pool: LocalPool, tmp_path: Path) -> None:
    words = {"optimizer": "sgd", "sync": {"every": 2, "topology": "star", "server": "c"}}
    plan = plans.data_plan(**words)
    execute(plan, pool, steps=4, out=tmp_path, checkpoint_every=3, reference=False)
    assert [path.name for path in all_of(tmp_path)] == ["step-00000004"]
    found = execute(plan, pool, steps=6, resume=tmp_path).to_json()
    assert found["first_step"] == 4
    assert found["max_relative_loss_difference"] <= 1e-5
    assert found["max_relative_weight_difference"] <= 1e-5
    with pytest.raises(InputError, match="optimizer"):
        execute(plans.data_plan(sync=words["sync"]), pool, steps=4, out=tmp_path / "new", checkpoint_every=2)


def test_cut_weights_are_whole_in_a_checkpoint(pool: LocalPool, tmp_path: Path) -> None:
    words = {"optimizer": "adamw", "precision": "fp64"}
    heads = VIT.by_name[plans.VIT[1]].tensor
    assert heads is not None
    assert heads.heads is not None
    stage = {"blocks": plans.VIT, "mode": "tensor", "shares": {"a": heads.heads - 1, "b": 1}}
    plan = plans.plan([{"micro_batches": 2, "samples": 8, "stages": [stage]}], **words)
    execute(plan, pool, steps=2, out=tmp_path, checkpoint_every=2, reference=False)
    for other in (alone(**words), plan):
        found = execute(other, pool, steps=4, resume=tmp_path).to_json()
        assert found["max_relative_loss_difference"] <= 1e-10
        assert found["max_relative_weight_difference"] <= 1e-10
