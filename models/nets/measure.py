"""What one block costs, counted, not timed: operations and bytes kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

LossOf = Callable[[Tensor], Tensor]
_ATEN = torch.ops.aten


@dataclass(frozen=True)
class Cost:
    """Cost of one block for one number of samples.

    Parameters
    ----------
    forward_flop, backward_input_flop, backward_weight_flop
        Floating-point operations of matrix products and convolutions.
    kept_bytes, kept_frozen_bytes
        Bytes kept from forward to backward with trained, and with frozen weights.
    output_bytes
        Size of the output.
    """

    forward_flop: int
    backward_input_flop: int
    backward_weight_flop: int
    kept_bytes: int
    kept_frozen_bytes: int
    output_bytes: int

    def __sub__(self, other: Cost) -> Cost:
        """Return the difference, which for two batches that differ by one sample is the cost of a sample."""
        return Cost(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


def measure(
    module: nn.Module, inputs: Sequence[Tensor], *, is_source: bool, loss: LossOf | None = None
) -> Cost:
    """Count the cost of a block, also on the meta device.

    Parameters
    ----------
    module
        The block.
    inputs
        Its inputs, each [samples, ...].
    is_source
        Whether the inputs are raw data, which need no gradient.
    loss
        Sinks: the loss of the output; what it keeps belongs to the block, its operations are not counted.

    Notes
    -----
    The gradient with respect to the input is what a block with frozen weights computes; the rest of the
    backward pass with trained weights is the gradient with respect to the weights. A source computes no
    gradient of its input, so its backward pass is all weights.
    """
    _require_grad(module, True)
    trained = _leaves(inputs, is_source)
    kept = kept_bytes(module, trained, loss)
    forward, backward, output = _flop(module, trained)
    _require_grad(module, False)
    frozen = _leaves(inputs, is_source)
    kept_frozen = kept_bytes(module, frozen, loss)
    _, backward_frozen, _ = _flop(module, frozen)
    _require_grad(module, True)
    return Cost(
        forward_flop=forward,
        backward_input_flop=backward_frozen,
        backward_weight_flop=backward - backward_frozen,
        kept_bytes=kept,
        kept_frozen_bytes=kept_frozen,
        output_bytes=output.numel() * output.element_size(),
    )


def kept_bytes(module: nn.Module, inputs: Sequence[Tensor], loss: LossOf | None = None) -> int:
    """Return the bytes of the distinct storages that autograd keeps for the backward pass, weights left out.

    Parameters
    ----------
    module
        The block.
    inputs
        Its inputs; one that autograd keeps counts too, since it has to stay until the backward pass.
    loss
        Sinks: the loss of the output.
    """
    return _bytes(_kept(module, inputs, loss))


def kept_whole_bytes(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the part of the kept bytes that a cut over heads or columns leaves whole on every device.

    Parameters
    ----------
    module
        The block.
    inputs
        Its inputs.

    Notes
    -----
    Whole are the inputs, and what norms read, keep and return: they work on all columns.
    """
    whole = {_storage(tensor) for tensor in inputs}
    inside: list[nn.Module] = []

    def enter(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        inside.append(layer)
        whole.update(_storage(tensor) for tensor in arguments)

    def leave(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        inside.remove(layer)
        whole.add(_storage(output))

    def packed(tensor: Tensor) -> None:
        if inside:
            whole.add(_storage(tensor))

    handles: list[RemovableHandle] = []
    for layer in module.modules():
        if type(layer).__name__.endswith("Norm"):
            handles += [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]
    kept = _kept(module, inputs, None, packed)
    for handle in handles:
        handle.remove()
    return _bytes({storage: tensor for storage, tensor in kept.items() if storage in whole})


def _kept(
    module: nn.Module,
    inputs: Sequence[Tensor],
    loss: LossOf | None,
    packed: Callable[[Tensor], None] = lambda tensor: None,
) -> dict[int, Tensor]:
    """Return what autograd keeps, by storage, weights left out."""
    weights = {_storage(parameter) for parameter in module.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in weights:
            kept[_storage(tensor)] = tensor
            packed(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(*inputs)
        result = output if loss is None else loss(output)
    del result
    return kept


def _bytes(kept: dict[int, Tensor]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _flop(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[int, int, Tensor]:
    """Return forward and backward operations, and the output."""
    with _counter() as forward:
        output = module(*inputs)
    if not output.requires_grad:
        return forward.get_total_flops(), 0, output
    wanted = [tensor for tensor in (*inputs, *module.parameters()) if tensor.requires_grad]
    with _counter() as backward:
        torch.autograd.grad(output, wanted, torch.ones_like(output), allow_unused=True)
    return forward.get_total_flops(), backward.get_total_flops(), output.detach()


def _counter() -> FlopCounterMode:
    # torch's own rule charges a grouped convolution's weight gradient for all pairs of channels.
    return FlopCounterMode(display=False, custom_mapping={_ATEN.convolution_backward: _convolution_backward})


def _convolution_backward(
    grad_output: torch.Size, x: torch.Size, weight: torch.Size, *rest: Any, **_: Any
) -> int:
    """Return the operations of a convolution's gradients: each costs what the forward pass costs."""
    output_mask = rest[7]
    forward: int = 2 * grad_output[0] * prod(grad_output[2:]) * prod(weight)
    wanted: int = sum(output_mask[:2])
    return forward * wanted


def _leaves(inputs: Sequence[Tensor], is_source: bool) -> list[Tensor]:
    return [tensor.detach().requires_grad_(not is_source) for tensor in inputs]


def _require_grad(module: nn.Module, trained: bool) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(trained)


def _storage(tensor: Tensor) -> int:
    identity: int = tensor.untyped_storage()._cdata
    return identity
