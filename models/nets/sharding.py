"""How a block may be cut over heads, columns and tokens, and adapted: read off its module and its traits."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import Tensor, nn

from models.nets.traits import traits_of
from models.workload import Adapter, Collective, SequenceSharding, TensorSharding


def tensor_sharding(
    module: nn.Module, input_bytes: int, output_bytes: int, kept_whole_bytes: int
) -> TensorSharding | None:
    """Return how a block is cut over heads or columns, ``None`` if it is not.

    Every device has the whole input and computes with its part of the inner columns: outputs are partial
    sums, reduced at the end of the forward pass; so are the gradients of the inputs, at the end of the
    backward pass.

    Parameters
    ----------
    module
        The block.
    input_bytes
        Size of all its inputs per sample.
    output_bytes
        Size of its output per sample.
    kept_whole_bytes
        Part of what it keeps that every device keeps whole, per sample.
    """
    traits = traits_of(module)
    if traits.heads is None and traits.columns is None:
        return None
    weights = dict(module.named_parameters())
    return TensorSharding(
        heads=traits.heads,
        columns=traits.columns,
        weight_bytes=sum(weights[name].numel() * weights[name].element_size() for name in traits.cut),
        kept_whole_bytes=kept_whole_bytes,
        collectives=(
            Collective(operation="all_reduce", phase="forward", bytes_per_sample=output_bytes),
            Collective(operation="all_reduce", phase="backward", bytes_per_sample=input_bytes),
        ),
    )


def sequence_sharding(
    module: nn.Module, linears: Sequence[Adapter], flop: float, num_bytes: int
) -> SequenceSharding | None:
    """Return how a block is cut over tokens, ``None`` if it is not.

    Attention gathers all keys and values once its device's tokens are projected; in the backward pass their
    gradients are reduced and scattered just before the backward pass of the projections.

    Parameters
    ----------
    module
        The block.
    linears
        All its linear layers, with the tokens that pass through them.
    flop
        Operations of its forward pass per sample.
    num_bytes
        Bytes per number.
    """
    traits = traits_of(module)
    if traits.sequence is None:
        return None
    if traits.sequence == "token":
        return SequenceSharding()
    layers = {layer.name: layer for layer in linears}
    gathered = sum(layers[name].tokens * layers[name].out_features * num_bytes for name in traits.key_value)
    before = sum(
        2 * layers[name].tokens * layers[name].in_features * layers[name].out_features
        for name in traits.before_gather
    )
    at = round(before / flop, 6)
    return SequenceSharding(
        collectives=(
            Collective(operation="all_gather", phase="forward", bytes_per_sample=gathered, at=at),
            Collective(
                operation="reduce_scatter", phase="backward", bytes_per_sample=gathered, at=round(1 - at, 6)
            ),
        )
    )


def linears_of(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Adapter, ...]:
    """Return all linear layers of a block with the tokens per sample that pass through them.

    Layers that read the same tensor have the same ``input``, named after the first of them.

    Parameters
    ----------
    module
        The block.
    inputs
        Its inputs, each [samples, ...].
    """
    found: list[Adapter] = []
    readers: dict[int, str] = {}
    alive: list[Tensor] = []

    def hook(name: str, layer: nn.Linear) -> Any:
        def seen(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            (tensor,) = arguments
            alive.append(tensor)
            reader = readers.setdefault(id(tensor), f"{name}_input")
            tokens = prod(tensor.shape[1:-1])
            found.append(
                Adapter(
                    name=name,
                    in_features=layer.in_features,
                    out_features=layer.out_features,
                    tokens=tokens,
                    input=reader,
                )
            )

        return layer.register_forward_pre_hook(seen)

    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    handles = [hook(name, layer) for name, layer in layers if name]
    module(*inputs)
    for handle in handles:
        handle.remove()
    return tuple(found)


def adapters(module: nn.Module, linears: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """Return the linear layers of a block that low-rank adaptation may adapt."""
    wanted = traits_of(module).adapted
    return tuple(layer for layer in linears if layer.name in wanted)
