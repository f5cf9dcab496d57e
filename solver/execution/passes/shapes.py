"""Shapes of all outputs of a net, found by running one sample."""

from __future__ import annotations

import torch
from torch import Tensor

from models.nets.net import Net
from models.workload import Workload
from solver.execution.passes.replica import build


def output_shapes(workload: Workload) -> dict[str, tuple[int, ...]]:
    """Return the shape per sample of every block's output.

    Parameters
    ----------
    workload
        A card that names its net.

    Notes
    -----
    One real sample costs milliseconds; the meta device would first import a second of symbolic mathematics.
    """
    net = build(workload, torch.float32, 0)
    assert net.dataset is not None
    with torch.no_grad():
        outputs = all_outputs(net, net.dataset.batch(0, 1).inputs)
    return {name: tuple(output.shape[1:]) for name, output in outputs.items()}


def all_outputs(net: Net, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the output of every block.

    Parameters
    ----------
    net
        A whole net.
    inputs
        Raw tensors by modality, each [samples, ...].
    """
    outputs: dict[str, Tensor] = {}
    for name, block in net.blocks.items():
        if name in net.sources:
            outputs[name] = block(inputs[net.sources[name]])
        else:
            outputs[name] = block(*(outputs[source] for source in net.inputs[name]))
    return outputs
