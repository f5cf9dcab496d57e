"""What is known of the A100 from its data sheet, and what is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from models.document import Document, dump_json, read, validate
from solver.validation.findings import Constant

FILE = Path(__file__).parents[1] / "suites" / "vtrain.json"
"""The constants that ship with the package, fitted on the odd rows of the published file."""

VOCABULARY = 51_200
FLOP_PER_S = 312e12
"""Peak of the tensor cores in fp16."""
MEMORY_BYTES = 80e9
MEMORY_BYTES_PER_S = 2.0e12
NVLINK_BYTES_PER_S = 300e9
"""Each way: half of the 600 GB/s of the data sheet."""
GPUS_PER_NODE = 8
NODE_BYTES_PER_S = 100e9
"""Between nodes, all GPUs of a node together: four ports of 200 Gbit/s InfiniBand, assumed."""

UPDATE_BYTES = 40
"""Of memory traffic per parameter in an update: the fp16 gradient to fp32 (2 + 4), Adam in fp32 on weight,
gradient and two moments (16 read, 12 written), the new weight to fp16 (4 + 2)."""

GRADIENT_EFFICIENCY = 0.8
"""Part of a link's rate that the ring of a large gradient reaches; assumed, as benches of NCCL show it."""

ENDS_LAUNCH = 2.25
"""Launch time of the head's kernels, in launch times of a layer's forward pass; that of the embedding is a
quarter of the head's. Assumed from the number of kernels."""

Positive = Annotated[float, Field(gt=0)]


class Constants(Document):
    """Fitted constants.

    Parameters
    ----------
    gemm_efficiency
        Part of the peak that matrix products reach.
    whole_vocabulary_efficiency
        The same of the output layer where its vocabulary is not cut.
    score_bytes
        Memory traffic per attention score in the forward pass: scores are written, scaled, masked,
        normalised, dropped out and read again. The backward pass moves twice as much.
    kernel_s
        Time of a layer's forward kernels that does not shrink with their work; twice in the backward pass.
    launch_s
        Time the host takes to launch a layer's forward kernels at hidden size 1024; twice backward.
    launch_growth
        Launch time falls with hidden size to this power: narrow products take more kernels each.
    launch_cut_s
        Added where the layer is cut: the collectives are launched too.
    launch_unfused_s
        Added where micro-batch x heads on a GPU is no multiple of 4, for which Megatron's fused softmax
        is not made.
    tensor_efficiency
        Part of NVLink's rate that the all-reduces inside a layer reach.
    tensor_latency_s
        Latency of such an all-reduce between two GPUs, waiting for one another included.
    tensor_latency_growth
        Between n GPUs it is larger by (n - 1) to this power.
    message_bytes_per_s
        Rate of a message between stages.
    """

    gemm_efficiency: Positive
    whole_vocabulary_efficiency: Positive
    score_bytes: Positive
    kernel_s: Positive
    launch_s: Positive
    launch_growth: Positive
    launch_cut_s: Positive
    launch_unfused_s: Positive
    tensor_efficiency: Positive
    tensor_latency_s: Positive
    tensor_latency_growth: Positive
    message_bytes_per_s: Positive

    def listed(self) -> tuple[Constant, ...]:
        """Return the constants with units and meanings, as reports show them."""
        return tuple(
            Constant(name, value, _unit(name), _MEANINGS[name]) for name, value in self.model_dump().items()
        )


_MEANINGS = {
    "gemm_efficiency": "part of the tensor cores' peak that matrix products reach",
    "whole_vocabulary_efficiency": "the same of the output layer where the vocabulary is not cut",
    "score_bytes": "memory traffic per attention score, forward; twice backward",
    "kernel_s": "time of a layer's forward kernels that does not shrink with their work; twice backward",
    "launch_s": "host time to launch a layer's forward kernels at hidden size 1024; twice backward",
    "launch_growth": "launch time falls with hidden size to this power",
    "launch_cut_s": "added to it where the layer is cut",
    "launch_unfused_s": "added to it where Megatron's fused softmax is not made",
    "tensor_efficiency": "part of NVLink's rate that all-reduces inside a layer reach",
    "tensor_latency_s": "latency of such an all-reduce between two GPUs",
    "tensor_latency_growth": "between n GPUs it is larger by (n - 1) to this power",
    "message_bytes_per_s": "rate of a message between stages",
}


def _unit(name: str) -> str:
    if name.endswith("_bytes_per_s"):
        return "bytes/s"
    return {"score_bytes": "bytes"}.get(name, "s" if name.endswith("_s") else "")


def shipped() -> Constants:
    """Return the constants of the package."""
    return validate(Constants, read(FILE), FILE.name)


def text_of(constants: Constants) -> str:
    """Return the text of the constants' file."""
    return dump_json(constants.model_dump())
