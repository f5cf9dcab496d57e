"""Adapter: low-rank adapters in the layout of Hugging Face's PEFT, beside a checkpoint, for other programs.

::

    adapter/
        adapter_config.json
        adapter_model.safetensors     base_model.model.BLOCK.LAYER.lora_A.weight, ...lora_B.weight

Nothing here reads them back: a checkpoint goes on from its own files.

References
----------
PEFT documentation, "Checkpoint format", https://huggingface.co/docs/peft/developer_guides/checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor

from models.document import dump_json
from solver.job import Job

FOLDER = "adapter"
_PREFIX = "base_model.model."
_FACTORS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}


def tensors_of(block: str, weights: Mapping[str, Tensor], job: Job) -> dict[str, Tensor]:
    """Return what an adapter file has of a block: its factors, or all of a block that is trained in full.

    Parameters
    ----------
    block, weights
        Its name, and its tensors.
    job
        Says which blocks are trained in full.
    """
    if block in job.trained:
        return {f"{_PREFIX}{block}.{name}": tensor for name, tensor in weights.items()}
    found = {}
    for name, tensor in weights.items():
        layer, _, factor = name.rpartition(".")
        if factor in _FACTORS:
            found[f"{_PREFIX}{block}.{layer}.{_FACTORS[factor]}"] = tensor
    return found


def files_of(net: str, tensors: Mapping[str, Tensor], job: Job) -> dict[str, bytes]:
    """Return the files of an adapter by name.

    Parameters
    ----------
    net
        Name of the net that is adapted.
    tensors
        Of all blocks, from :func:`tensors_of`.
    job
        How it was trained; its tune is ``lora``.
    """
    content = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    return {
        "adapter_config.json": dump_json(config_of(net, tensors, job)).encode(),
        "adapter_model.safetensors": safetensors.torch.save(content, {"format": "pt"}),
    }


def config_of(net: str, tensors: Mapping[str, Tensor], job: Job) -> dict[str, Any]:
    """Return the words of ``adapter_config.json``.

    Parameters
    ----------
    net, tensors, job
        As in :func:`files_of`.

    Notes
    -----
    PEFT scales a product by alpha / r of its layer. Where a layer's rank is not the job's, its alpha is given
    too, so that the scale is the job's everywhere.
    """
    rank = job.lora_rank
    assert rank is not None
    alpha = job.lora_alpha if job.lora_alpha is not None else float(rank)
    end = f".{_FACTORS['lora_a']}"
    ranks = {
        name.removeprefix(_PREFIX).removesuffix(end): len(tensor)
        for name, tensor in tensors.items()
        if name.endswith(end)
    }
    others = {layer: own for layer, own in ranks.items() if own != rank}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": net,
        "r": rank,
        "lora_alpha": int(alpha) if alpha.is_integer() else alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "target_modules": sorted(ranks),
        "modules_to_save": list(job.trained) or None,
        "layers_to_transform": None,
        "rank_pattern": others,
        "alpha_pattern": {layer: alpha / rank * own for layer, own in others.items()},
        "inference_mode": True,
    }
