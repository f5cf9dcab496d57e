"""The net of a run as a Workload: an embedding, transformer layers, and a head, with published profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from models.formats.sailor import Profile, Shape
from models.workload import Block, Edge, TensorSharding, TimeProfile, Workload

WEIGHT_BYTES, ACTIVATION_BYTES = 4, 2
"""Mixed precision: trained weights, gradients and Adam's states in fp32, activations in bf16."""


SMALL = 8
"""Samples of a micro-batch from which on a layer's time is taken as measured; see :func:`smoothed`.

Chosen with the public runs in view. Their mean error, each node count left out, is 3.2 % with 8, 3.6 % with
4, 3.1 % with 16, and 5.2 % without the line.
"""


def kind_of(gpu: str, degree: int) -> str:
    """Return the device kind under which a GPU of a tensor group is profiled."""
    return f"{gpu}/{degree}"


def block_name(layer: int) -> str:
    """Return the name of a layer."""
    return f"layer{layer:02d}"


def workload_of(
    shape: Shape,
    profiles: Mapping[str, Profile],
    kinds: Iterable[tuple[str, int]],
    degrees: Mapping[int, int],
    activation_part: float,
) -> Workload:
    """Return a net.

    Parameters
    ----------
    shape
        Of the transformer.
    profiles
        By GPU.
    kinds
        (GPU, tensor degree) that are used.
    degrees
        Largest tensor degree of every layer.
    activation_part
        Factor on the bytes kept for the backward pass.

    Notes
    -----
    A profile has the time of one GPU of a tensor group, exchanges of the group included. Lowering gives each
    GPU its part of a block's time, so the block has the degree times the measured time, and no exchanges.
    In the same way every GPU of a group holds its stage's whole output and sends it to its like in the next
    stage, so the output, of which lowering gives it a part, is as large as all of them together.
    """
    copies = {layer: max(degree, degrees.get(layer + 1, 1)) for layer, degree in degrees.items()}
    blocks = tuple(_block(shape, layer, copies[layer], activation_part) for layer in sorted(copies))
    names = [block.name for block in blocks]
    return Workload(
        name=shape.model,
        source="shapes and profiles of github.com/eth-easl/sailor",
        blocks=blocks,
        edges=tuple(Edge(source=a, target=b) for a, b in pairwise(names)),
        profiles={kind_of(gpu, degree): _times(profiles[gpu], degree) for gpu, degree in kinds},
    )


def _block(shape: Shape, layer: int, copies: int, activation_part: float) -> Block:
    """Return one layer: the first is the embedding, the last the norm and the projection to the vocabulary.

    Parameters
    ----------
    shape, layer, activation_part
        As for :func:`workload_of`.
    copies
        How often the output is held, and sent.

    Notes
    -----
    Kept bytes of a transformer layer: s h (34 + 5 a s / h), of which 10 s h every GPU of a tensor group keeps
    whole (Korthikanti et al., "Reducing activation recomputation in large transformer models", table 2).
    The embedding keeps its dropout mask; the head its input and norm whole, and the logits in bf16 and fp32.
    """
    h, s, a, v = shape.hidden_size, shape.sequence_length, shape.heads, shape.vocab_size
    if layer == 0:
        weights, kept, whole = (v + shape.max_position_embeddings) * h, s * h, s * h
    elif layer <= shape.num_layers:
        weights, kept, whole = 12 * h * h + 13 * h, s * h * 34 + 5 * a * s * s, 10 * s * h
    else:
        weights, kept, whole = v * h + 2 * h, 4 * s * h + 6 * s * v, 4 * s * h
    return Block(
        name=block_name(layer),
        forward_flop=0,
        weight_bytes=WEIGHT_BYTES * weights,
        kept_bytes=round(activation_part * kept),
        output_bytes=copies * ACTIVATION_BYTES * s * h,
        columns=h,
        tensor=TensorSharding(
            heads=a,
            weight_bytes=WEIGHT_BYTES * weights,
            kept_whole_bytes=round(activation_part * whole),
            input="columns",
            output="columns",
        ),
    )


def _times(profile: Profile, degree: int) -> dict[str, TimeProfile]:
    """Return the profile of every layer on a GPU of a tensor group."""
    sizes = sorted(size for size, degrees in profile.items() if degree in degrees)
    found = {}
    for layer in sorted(profile[sizes[0]][degree]):
        forward, backward = (
            smoothed(sizes, [profile[size][degree][layer][k] * degree for size in sizes]) for k in (0, 1)
        )
        found[block_name(layer)] = TimeProfile(
            samples=tuple(sizes), forward_s=tuple(forward), backward_s=tuple(backward)
        )
    return found


def smoothed(sizes: Sequence[int], times: Sequence[float]) -> list[float]:
    """Return measured times of a layer without the noise of small micro-batches.

    Parameters
    ----------
    sizes
        Micro-batches, increasing.
    times
        Seconds of each.

    Notes
    -----
    A smaller micro-batch has no more work: where it was measured slower, the start of a process or the host
    was measured, and the time of the larger one is an upper bound. Below ``SMALL`` samples a layer costs the
    launch of its kernels and work in proportion to the samples: a straight line, by least squares of the
    relative errors over the sizes up to ``SMALL``. Fewer than three such sizes are left as they are.
    """
    bounded = [min(times[i:]) for i in range(len(times))]
    num_small = sum(size <= SMALL for size in sizes)
    if num_small < 3 or min(bounded) <= 0:
        return bounded
    x, y = np.array(sizes[:num_small], float), np.array(bounded[:num_small])
    slope, start = np.polyfit(x, y, 1, w=1 / y)
    line = [float(start + slope * size) for size in sizes if size < SMALL]
    return [max(0.0, time) for time in line] + bounded[len(line) :]


def update_s(profile: Profile, degree: int, layers: Iterable[int]) -> float:
    """Return the measured seconds of the weight update of some layers on a GPU of a tensor group."""
    degrees = next(degrees for size, degrees in sorted(profile.items()) if degree in degrees)
    return sum(degrees[degree][layer][2] for layer in layers)
