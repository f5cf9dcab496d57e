"""Deployments: runs begin with the weights that lie in them, or say why not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from models import catalog
from models.errors import InputError
from solver.execution.elastic.run import run_elastic
from solver.execution.elastic.strikes import Strike
from solver.execution.run import run
from solver.execution.state.deployment import MANIFEST, Deployment, take_up
from solver.execution.workers.pool import LocalPool
from solver.loading import Loaded
from solver.phases.deploy import deploy
from solver.plan import Plan
from tests.execution import plans

VIT = catalog.workload("vit_digits")
BOARDS = plans.cluster("a", "b", "c", "d")


def tensor_plan() -> Plan:
    """Heads and columns shared 3:1 in the first stage, samples in the second, of which a has a copy."""
    stages = [
        {"blocks": plans.VIT[:5], "mode": "tensor", "shares": {"a": 9, "b": 3}},
        {"blocks": plans.VIT[5:], "shares": {"c": 3, "d": 1}},
    ]
    words = {"micro_batches": 2, "samples": 4, "stages": stages}
    return plans.plan([words], backup=[{"stage": [0, 1], "on": "a"}])


def placed(plan: Plan, folder: Path, **words: object) -> Deployment:
    deploy(Loaded(plan, VIT, BOARDS), folder, **words)  # type: ignore[arg-type]
    return Deployment.open(folder)


def altered(folder: Path, name: str) -> None:
    """Make all tensors of a file zero, and tell the manifest and the part of it, as a person would."""
    path = folder / name
    tensors = {key: torch.zeros_like(t) for key, t in safetensors.torch.load_file(path).items()}
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    safetensors.torch.save_file(tensors, path)
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    part = path.parent / "part.json"
    old_part = hashlib.sha256(part.read_bytes()).hexdigest()
    part.write_text(part.read_text().replace(before, after))
    new_part = hashlib.sha256(part.read_bytes()).hexdigest()
    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text().replace(before, after).replace(old_part, new_part))


def test_files_hold_what_the_cards_predict(tmp_path: Path) -> None:
    one = placed(tensor_plan(), tmp_path / "out")
    for place in one.manifest.devices.values():
        own = sorted((tmp_path / "out" / place.folder).glob("*.safetensors"))
        copies = sorted((tmp_path / "out" / place.folder).glob("backup-*/*.safetensors"))
        for files, wanted in ((own, place.weight_bytes), (copies, place.backup_bytes)):
            tensors = [t for file in files for t in safetensors.torch.load_file(file).values()]
            assert sum(t.numel() * t.element_size() for t in tensors) == wanted
    assert one.manifest.devices["a"].backups == tuple(plans.VIT[5:])
    assert not list(one.faults())


def test_a_run_begins_with_it_and_trains_as_from_the_seed(pool: LocalPool, tmp_path: Path) -> None:
    placed(tensor_plan(), tmp_path / "out", seed=3)
    words = {"steps": 2, "mode": "raw", "pool": pool, "reference": False}
    plain = run(tensor_plan(), VIT, BOARDS, seed=3, **words)  # type: ignore[arg-type]
    begun = run(tensor_plan(), VIT, BOARDS, deployment=tmp_path / "out", **words)  # type: ignore[arg-type]
    assert begun.trace.seed == 3
    assert begun.trace.losses == plain.trace.losses


def test_it_is_the_files_that_a_run_begins_with(pool: LocalPool, tmp_path: Path) -> None:
    """With a head of zeros every class is as likely as any other: the loss is ln 10."""
    one = placed(plans.chain_plan(), tmp_path / "out")
    head = next(name for name in one.manifest.files if name.endswith("head.safetensors"))
    altered(tmp_path / "out", head)
    words = {"steps": 1, "mode": "raw", "pool": pool, "reference": False}
    begun = run(plans.chain_plan(), VIT, BOARDS, deployment=tmp_path / "out", **words)  # type: ignore[arg-type]
    assert begun.trace.losses[0] == pytest.approx(2.302585, rel=1e-5)


def test_an_elastic_run_begins_with_it_also_without_a_device(pool: LocalPool, tmp_path: Path) -> None:
    """b dies in the first step: a begins again with b's part, from b's folder."""
    one = placed(plans.chain_plan(), tmp_path / "out")
    head = next(name for name in one.manifest.files if name.endswith("head.safetensors"))
    altered(tmp_path / "out", head)
    result = run_elastic(
        plans.chain_plan(),
        VIT,
        BOARDS,
        steps=2,
        mode="raw",
        reference=False,
        deployment=tmp_path / "out",
        strikes=[Strike(0, "b", "kill", None)],
        pool=pool,
        out=tmp_path / "run",
    )
    assert result.story.losses[0] == pytest.approx(2.302585, rel=1e-5)
    assert result.energy.steps and (tmp_path / "run" / "last_generation.json").exists()


def test_every_fault_of_a_deployment_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    one = placed(tensor_plan(), folder)
    gone, damaged = [name for name in one.manifest.files if name.endswith("safetensors")][:2]
    (folder / gone).unlink()
    content = bytearray((folder / damaged).read_bytes())
    content[-1] ^= 1
    (folder / damaged).write_bytes(content)
    (folder / "a" / "more.txt").write_text("more")
    with pytest.raises(InputError) as error:
        run(plans.chain_plan(), VIT, BOARDS, seed=1, deployment=folder)
    paths = {fault.path for fault in error.value.faults}
    assert paths == {"plan_sha256", "seed", *(f"files.{name}" for name in (gone, damaged, "a/more.txt"))}


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no deployment"):
        run(plans.chain_plan(), VIT, BOARDS, deployment=tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"version": 2}))
    with pytest.raises(InputError, match="plan_sha256: Field required"):
        run(plans.chain_plan(), VIT, BOARDS, deployment=tmp_path)


def test_another_cut_takes_its_parts_from_all_folders(tmp_path: Path) -> None:
    """One device that holds everything joins the parts of a and b."""
    from solver.execution.passes.replica import Held, Replica
    from solver.execution.passes.tuning import Tuning

    placed(tensor_plan(), tmp_path / "out", seed=7)
    tuning = Tuning.of(tensor_plan(), VIT, "a")
    wanted = Replica(tuning, Held.whole(plans.VIT), 7, None)
    found = Replica(tuning, Held.whole(plans.VIT), 0, None)
    take_up(tmp_path / "out", "a", found)
    for block, tensors in wanted.state().items():
        for name, tensor in tensors.items():
            assert torch.equal(found.state()[block][name], tensor)
