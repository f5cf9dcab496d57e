"""Adapters lie beside a checkpoint as PEFT writes them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from models import catalog
from solver.execution.run import run
from solver.execution.state.adapter import config_of, files_of, tensors_of
from solver.execution.state.checkpoint import Checkpoint
from solver.execution.workers.pool import LocalPool
from solver.job import Job
from tests.execution import plans

VIT = catalog.workload("vit_digits")


def job(**words: object) -> Job:
    return Job.model_validate({"batch": 8, "tune": "lora", "lora_rank": 2, **words})


def test_factors_have_the_names_of_peft_and_what_is_frozen_is_left_out() -> None:
    weights = {
        "query.weight": torch.ones(3, 3),
        "query.lora_a": torch.ones(2, 3),
        "query.lora_b": torch.ones(3, 2),
    }
    found = tensors_of("layer0.attention", weights, job())
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        "base_model.model.layer0.attention.query.lora_A.weight": (2, 3),
        "base_model.model.layer0.attention.query.lora_B.weight": (3, 2),
    }


def test_block_trained_in_full_is_a_module_to_save() -> None:
    words = job(trained=["head"])
    found = tensors_of("head", {"linear.weight": torch.ones(3, 3)}, words)
    assert list(found) == ["base_model.model.head.linear.weight"]
    assert config_of("net", found, words)["modules_to_save"] == ["head"]


def test_layers_of_another_rank_keep_the_scale_of_the_job() -> None:
    key = "base_model.model.b.{}.lora_A.weight"
    tensors = {key.format("query"): torch.ones(2, 3), key.format("value"): torch.ones(4, 3)}
    found = config_of("net", tensors, job(lora_alpha=6))
    assert (found["r"], found["lora_alpha"]) == (2, 6)
    assert found["target_modules"] == ["b.query", "b.value"]
    assert found["rank_pattern"] == {"b.value": 4}
    assert found["alpha_pattern"] == {"b.value": 12}


def test_same_tensors_in_two_places_are_written_twice() -> None:
    one = torch.ones(2, 3)
    files = files_of(
        "net", {"base_model.model.a.lora_A.weight": one, "base_model.model.b.lora_A.weight": one}, job()
    )
    assert set(files) == {"adapter_config.json", "adapter_model.safetensors"}


def test_a_run_leaves_its_adapters_beside_its_checkpoint(pool: LocalPool, tmp_path: Path) -> None:
    words = {"tune": "lora", "lora_rank": 2, "trained": plans.VIT[-1:]}
    cluster = plans.cluster("a", "b")
    told = {"mode": "raw", "pool": pool, "out": tmp_path, "reference": False, "keep_checkpoint": True}
    run(plans.chain_plan(**words), VIT, cluster, steps=2, **told)
    checkpoint = Checkpoint.open(tmp_path)
    config = json.loads((checkpoint.folder / "adapter" / "adapter_config.json").read_text())
    tensors = load_file(checkpoint.folder / "adapter" / "adapter_model.safetensors")
    assert len(tensors) == 2 * len(config["target_modules"]) + len(checkpoint.shapes(plans.VIT[-1]))
    layer = config["target_modules"][0]
    block = next(name for name in plans.VIT if layer.startswith(name))
    own = checkpoint.block(block).weights[layer.removeprefix(f"{block}.") + ".lora_b"]
    assert torch.equal(tensors[f"base_model.model.{layer}.lora_B.weight"], own)
    assert own.abs().sum() > 0
