"""Shapes of all outputs of a net, found on the meta device."""

from __future__ import annotations

import torch

from models.nets import catalog
from models.workload import Workload


def output_shapes(workload: Workload) -> dict[str, tuple[int, ...]]:
    """Return the shape per sample of every block's output.

    Parameters
    ----------
    workload
        A card that names its net.
    """
    assert workload.net is not None
    spec, net = catalog.spec(workload.net), catalog.build(workload.net, device="meta")
    outputs: dict[str, torch.Tensor] = {}
    for name, block in net.blocks.items():
        if name in net.sources:
            raw = spec.inputs[net.sources[name]]
            dtype = torch.float32 if raw.kind == "float" else torch.int64
            given = [torch.empty((2, *raw.shape), dtype=dtype, device="meta")]
        else:
            given = [outputs[source] for source in net.inputs[name]]
        outputs[name] = block(*given)
    return {name: tuple(output.shape[1:]) for name, output in outputs.items()}
