"""Costs of a micro-batch of GPT on A100, and of an iteration in closed form, for many runs at once.

The host launches kernels ahead of the GPU; a pass of a layer lasts as long as the slower of the two. On the
GPU: matrix products at a part of the tensor cores' peak, passes over the attention scores at the memory's
rate, kernels too small to shrink, and two all-reduces where the layer is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.formats.vtrain import GptRun
from solver.validation.vtrain.constants import (
    ENDS_LAUNCH,
    FLOP_PER_S,
    GRADIENT_EFFICIENCY,
    MEMORY_BYTES_PER_S,
    NVLINK_BYTES_PER_S,
    UPDATE_BYTES,
    VOCABULARY,
    Constants,
)

Floats = NDArray[np.float64]
HALF = 2
"""Bytes of a number in fp16."""


@dataclass(frozen=True)
class Shapes:
    """Runs as columns, each (num_runs,); see :class:`models.formats.vtrain.GptRun`."""

    micro_batch: Floats
    num_micro_batches: Floats
    hidden: Floats
    heads: Floats
    layers: Floats
    sequence: Floats
    tensor: Floats
    data: Floats
    pipeline: Floats

    @classmethod
    def of(cls, runs: Sequence[GptRun]) -> Self:
        """Return the columns of some runs."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.array([getattr(run, name) for run in runs], np.float64) for name in names})

    @property
    def boundary_bytes(self) -> Floats:
        """Bytes of what one layer hands to the next, for one micro-batch."""
        return HALF * self.micro_batch * self.sequence * self.hidden


@dataclass(frozen=True)
class PassCosts:
    """Seconds on one GPU for one micro-batch, each (num_runs,).

    Parameters
    ----------
    layer_forward, layer_backward
        Of a layer, without its all-reduces, of which each pass has two.
    all_reduce
        Of one of them; 0 where nothing is cut.
    embedding, head
        Of the ends, both passes, a third of it forward; the head without the all-reduce of its backward pass.
    """

    layer_forward: Floats
    layer_backward: Floats
    all_reduce: Floats
    embedding: Floats
    head: Floats


def all_reduce_latency_s(tensor: Floats, constants: Constants) -> Floats:
    """Return the latency of an all-reduce inside a layer, all steps of its ring together."""
    grown = constants.tensor_latency_s * np.maximum(tensor - 1, 1) ** constants.tensor_latency_growth
    return np.where(tensor > 1, grown, 0.0)


def pass_costs(shapes: Shapes, constants: Constants, tensor_bytes_per_s: float | None = None) -> PassCosts:
    """Return what a micro-batch costs.

    Parameters
    ----------
    shapes, constants
        The runs, and what was fitted.
    tensor_bytes_per_s
        Rate between GPUs that share a layer; NVLink's fitted part of it if ``None``.
    """
    tokens, cut = shapes.micro_batch * shapes.sequence, shapes.tensor
    rate = tensor_bytes_per_s or constants.tensor_efficiency * NVLINK_BYTES_PER_S
    all_reduce = all_reduce_latency_s(cut, constants) + 2 * (cut - 1) / cut * shapes.boundary_bytes / rate
    flop = (24 * tokens * shapes.hidden**2 + 4 * tokens * shapes.sequence * shapes.hidden) / cut
    scores = shapes.micro_batch * shapes.heads * shapes.sequence**2 / cut
    gpu = flop / (constants.gemm_efficiency * FLOP_PER_S)
    gpu += constants.score_bytes * scores / MEMORY_BYTES_PER_S + constants.kernel_s
    host = launch_s(shapes, constants)
    efficiency = np.where(cut > 1, constants.gemm_efficiency, constants.whole_vocabulary_efficiency)
    ends = ENDS_LAUNCH * constants.launch_s
    product = 6 * tokens * shapes.hidden * VOCABULARY / cut / (efficiency * FLOP_PER_S)
    return PassCosts(
        layer_forward=np.maximum(gpu, host - 2 * all_reduce),
        layer_backward=np.maximum(2 * gpu, 2 * host - 2 * all_reduce),
        all_reduce=all_reduce,
        embedding=np.full_like(product, ends / 4),
        head=product + ends,
    )


def launch_s(shapes: Shapes, constants: Constants) -> Floats:
    """Return the seconds the host takes to launch a layer's forward kernels."""
    unfused = (shapes.micro_batch * shapes.heads / shapes.tensor) % 4 != 0
    host = constants.launch_s + constants.launch_cut_s * (shapes.tensor > 1)
    host = host + constants.launch_unfused_s * unfused
    return np.asarray(host * (shapes.hidden / 1024) ** -constants.launch_growth, np.float64)


def layer_parameters(hidden: Floats) -> Floats:
    """Return the parameters of a layer: four products with their biases, and two norms."""
    return 12 * hidden**2 + 13 * hidden


def iteration_s(shapes: Shapes, constants: Constants) -> Floats:
    """Return the seconds of an iteration on one node, in closed form.

    Notes
    -----
    The last stage, which has the head, is the slowest and works without a break; the others are passed once
    on the way there and once on the way back. The first has the embedding, and is the last to update. The
    evaluator's figure is the same where that is so, which a test holds; only the fit uses this.
    """
    one = pass_costs(shapes, constants)
    stage = one.layer_forward + one.layer_backward + 4 * one.all_reduce
    stage = stage * shapes.layers / shapes.pipeline
    slowest = stage + one.head + one.all_reduce
    rest = (shapes.pipeline - 1) * (stage + 2 * shapes.boundary_bytes / constants.message_bytes_per_s)
    seconds = shapes.num_micro_batches * slowest + rest
    seconds += one.embedding * np.where(shapes.pipeline > 1, 1, shapes.num_micro_batches)
    parameters = layer_parameters(shapes.hidden) * shapes.layers / shapes.pipeline
    parameters = (parameters + shapes.hidden * (VOCABULARY + shapes.sequence)) / shapes.tensor
    seconds += UPDATE_BYTES * parameters / MEMORY_BYTES_PER_S
    ring = 2 * (shapes.data - 1) / shapes.data * HALF * parameters
    return np.asarray(seconds + ring / (GRADIENT_EFFICIENCY * NVLINK_BYTES_PER_S), np.float64)
