"""Workload cards from nets: each block is built on the meta device and counted.

``python -m models.profile NAME`` (or ``--all``) writes ``models/workloads/NAME.json`` again, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from models.document import dump_json, write_text
from models.errors import InputError
from models.nets import catalog
from models.nets.measure import LossOf, kept_whole_bytes, measure
from models.nets.net import BlockSpec, NetSpec, TensorSpec, Ties, build_block
from models.nets.sharding import adapters, linears_of, sequence_sharding, tensor_sharding
from models.workload import NUM_BYTES, Block, Data, Edge, Precision, Workload

FOLDER = Path(__file__).parent / "workloads"
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp64": torch.float64,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_SOURCE = "profiled on the meta device with torch's FlopCounterMode and saved-tensor hooks"


def profile(spec: NetSpec) -> Workload:
    """Return the workload card of a net.

    Parameters
    ----------
    spec
        The net.

    Notes
    -----
    Every count is the difference between a batch of three samples and one of two, so what does not
    depend on the batch (masks, tables of positions) is no sample's cost.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    blocks = [_profile_block(spec, block, shapes) for block in spec.blocks]
    return Workload(
        name=spec.name,
        description=spec.description,
        source=f"{spec.source}; {_SOURCE}" if spec.source else _SOURCE,
        precision=spec.precision,
        net=spec.name if spec.dataset is not None else None,
        blocks=tuple(blocks),
        edges=tuple(Edge(source=source, target=target) for source, target in spec.edges),
    )


def text_of(card: Workload) -> str:
    """Return the text of a card's file: fields at their default are left out, the version is not."""
    fields = card.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return dump_json({"version": card.version, **fields})


def _profile_block(spec: NetSpec, block: BlockSpec, shapes: dict[str, tuple[int, ...]]) -> Block:
    """Return one block's entry, and note the shape of its output per sample."""
    dtype, num_bytes = DTYPES[spec.precision], NUM_BYTES[spec.precision]
    module = build_block(spec, block.name, dtype=dtype, device="meta")
    three, two = (_inputs(spec, block, shapes, samples) for samples in (3, 2))
    count = partial(measure, module, is_source=not block.inputs)
    cost = count(three, loss=_loss(spec, block, 3)) - count(two, loss=_loss(spec, block, 2))
    output = module(*two)
    shapes[block.name] = tuple(output.shape[1:])
    tokens, columns = _slices(shapes[block.name])
    linears = linears_of(module, two)
    input_bytes = sum(prod(shapes[name]) * num_bytes for name in block.inputs)
    return Block(
        name=block.name,
        forward_flop=cost.forward_flop,
        backward_input_flop=cost.backward_input_flop,
        backward_weight_flop=cost.backward_weight_flop,
        weight_bytes=_weight_bytes(module, block.ties),
        kept_bytes=cost.kept_bytes,
        kept_frozen_bytes=cost.kept_frozen_bytes,
        output_bytes=cost.output_bytes,
        tokens=tokens,
        columns=columns,
        tensor=tensor_sharding(module, input_bytes, cost.output_bytes, _kept_whole(module, three, two)),
        sequence=sequence_sharding(module, linears, cost.forward_flop, num_bytes),
        adapters=adapters(module, linears),
        task=block.loss.task if block.loss else None,
        loss=block.loss.kind if block.loss else None,
        weight=block.loss.weight if block.loss else 1.0,
        modality=block.modality,
        data=_data(spec, block.modality) if block.modality is not None else None,
    )


def _kept_whole(module: nn.Module, three: list[Tensor], two: list[Tensor]) -> int:
    """Return the bytes per sample that a cut over heads or columns leaves whole."""
    return kept_whole_bytes(module, three) - kept_whole_bytes(module, two)


def _inputs(
    spec: NetSpec, block: BlockSpec, shapes: dict[str, tuple[int, ...]], samples: int
) -> list[Tensor]:
    if block.modality is not None:
        return [_empty(spec.inputs[block.modality], spec, samples)]
    return [
        torch.empty((samples, *shapes[name]), dtype=DTYPES[spec.precision], device="meta")
        for name in block.inputs
    ]


def _loss(spec: NetSpec, block: BlockSpec, samples: int) -> LossOf | None:
    if block.loss is None:
        return None
    loss, target = block.loss, _empty(spec.targets[block.loss.task], spec, samples)
    return lambda output: loss(output, target)


def _empty(what: TensorSpec, spec: NetSpec, samples: int) -> Tensor:
    dtype = DTYPES[spec.precision] if what.kind == "float" else torch.int64
    return torch.empty((samples, *what.shape), dtype=dtype, device="meta")


def _data(spec: NetSpec, modality: str) -> Data:
    raw = spec.inputs[modality]
    return Data(
        name=raw.owned_as or modality,
        bytes_per_sample=_empty(raw, spec, 1).untyped_storage().nbytes(),
        may_leave=modality not in spec.private,
    )


def _slices(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return tokens and columns of an output; feature maps cannot be sliced."""
    if len(shape) == 2:
        return shape[0], shape[1]
    return (1, shape[0]) if len(shape) == 1 else (1, 1)


def _weight_bytes(module: nn.Module, ties: Ties) -> int:
    return sum(
        weight.numel() * weight.element_size()
        for name, weight in module.named_parameters()
        if name not in ties
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write cards; return the exit code.

    Parameters
    ----------
    arguments
        Words of the command line; the process's own if ``None``.
    """
    parser = argparse.ArgumentParser(
        prog="python -m models.profile", description="Write workload cards from nets."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="nets of models/nets")
    parser.add_argument("--all", action="store_true", help="every net")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the cards")
    chosen = parser.parse_args(arguments)
    names = catalog.names() if chosen.all else tuple(chosen.names)
    if not names:
        parser.error("name a net, or give --all")
    try:
        for name in names:
            write_text(chosen.out / f"{name}.json", text_of(profile(catalog.spec(name))), overwrite=True)
            print(chosen.out / f"{name}.json", file=sys.stderr)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
