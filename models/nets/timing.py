"""Times of a net's blocks on this machine: forward, backward and update, median of several rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from models.nets.net import BlockSpec, NetSpec, TensorSpec, build_block

WARM_UP = 2
DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class BlockTime:
    """Times of one block at one batch size.

    Parameters
    ----------
    forward_s, backward_s
        Medians.
    spread
        Width of the middle half of the rounds, both passes together, as a part of their median.
    rounds
        How many were timed.
    """

    forward_s: float
    backward_s: float
    spread: float
    rounds: int


@dataclass(frozen=True)
class NetTimes:
    """What was measured.

    Parameters
    ----------
    times
        By batch size, then by block; every size has all blocks.
    update_bytes_per_s
        Trained bytes an AdamW update goes through per second.
    busy
        When it worked steadily, or was timed where no steady work was asked for: (start, end), seconds
        since 1970.
    """

    times: dict[int, dict[str, BlockTime]]
    update_bytes_per_s: float
    busy: tuple[float, float]


def time_net(
    spec: NetSpec,
    sizes: Sequence[int],
    *,
    device: str = "cpu",
    rounds: int = 7,
    time_limit_s: float = 300.0,
    steady_s: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> NetTimes:
    """Time every block of a net at several batch sizes.

    Parameters
    ----------
    spec
        The net.
    sizes
        Batch sizes, increasing.
    device
        ``cpu`` or ``cuda``.
    rounds
        Timed rounds of every block and size, after a warm-up.
    time_limit_s
        When it is over, rounds are cut short, and larger sizes are left out once the first one is complete.
    steady_s
        Seconds of steady work at the end, every block in turn at the largest size timed: what power is
        read in, since the timed passes alone may be over before a power log has its next sample.
    progress
        Told (done, all).
    """
    end = time.monotonic() + time_limit_s
    found: dict[int, dict[str, BlockTime]] = {}
    start = time.time()
    done, total = 0, len(sizes) * len(spec.blocks)
    for size in sizes:
        table: dict[str, BlockTime] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for block in spec.blocks:
            if found and time.monotonic() > end:
                break
            table[block.name] = _time_block(spec, block, shapes, size, device, rounds, end)
            done += 1
            if progress is not None:
                progress(done, total)
        if len(table) < len(spec.blocks):
            break
        found[size] = table
    update = _update_bytes_per_s(spec, device, rounds)
    span = (start, time.time())
    if steady_s > 0:
        span = _steady(spec, max(found), device, steady_s)
    return NetTimes(found, update, span)


def _steady(spec: NetSpec, size: int, device: str, seconds: float) -> tuple[float, float]:
    """Run all blocks again and again, in the order of the net; return when."""
    shapes: dict[str, tuple[int, ...]] = {}
    blocks = []
    for block in spec.blocks:
        blocks.append(_BlockRun(spec, block, shapes, size, device))
        blocks[-1].passes()
    start = time.time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for run in blocks:
            run.passes()
    return start, time.time()


class _BlockRun:
    """A block with inputs of its own; ``shapes`` learns the shape of its output."""

    def __init__(
        self, spec: NetSpec, block: BlockSpec, shapes: dict[str, tuple[int, ...]], size: int, device: str
    ) -> None:
        dtype = DTYPES[spec.precision]
        self.name, self.loss, self.device, self.shapes = block.name, block.loss, device, shapes
        self.module = build_block(spec, block.name, dtype=dtype, device=device)
        self.inputs = _inputs(spec, block, shapes, size, device)
        self.target = None
        if block.loss is not None:
            self.target = _random(spec.targets[block.loss.task], size, dtype, device)

    def passes(self) -> tuple[float, float]:
        """Go forward and backward once; return the seconds of both."""
        for tensor in self.inputs:
            tensor.grad = None
        self.module.zero_grad(set_to_none=True)
        began = _now(self.device)
        output = self.module(*self.inputs)
        self.shapes[self.name] = tuple(output.shape[1:])
        result = output if self.loss is None or self.target is None else self.loss(output, self.target)
        middle = _now(self.device)
        if result.requires_grad:
            torch.autograd.backward(result, torch.ones_like(result))
        return middle - began, _now(self.device) - middle


def _time_block(
    spec: NetSpec,
    block: BlockSpec,
    shapes: dict[str, tuple[int, ...]],
    size: int,
    device: str,
    rounds: int,
    end: float,
) -> BlockTime:
    run = _BlockRun(spec, block, shapes, size, device)
    passes: list[tuple[float, float]] = []
    while len(passes) < WARM_UP + rounds:
        passes.append(run.passes())
        if len(passes) > WARM_UP and time.monotonic() > end:
            break
    timed = passes[WARM_UP:]
    sums = [sum(one) for one in timed]
    quarters = quantiles(sums, n=4) if len(sums) > 1 else [sums[0]] * 3
    forward, backward = (median(one[k] for one in timed) for k in (0, 1))
    return BlockTime(forward, backward, (quarters[2] - quarters[0]) / max(median(sums), 1e-12), len(timed))


def _inputs(
    spec: NetSpec, block: BlockSpec, shapes: dict[str, tuple[int, ...]], size: int, device: str
) -> list[Tensor]:
    dtype = DTYPES[spec.precision]
    if block.modality is not None:
        return [_random(spec.inputs[block.modality], size, dtype, device)]
    return [
        torch.randn((size, *shapes[name]), dtype=dtype, device=device).requires_grad_()
        for name in block.inputs
    ]


def _random(what: TensorSpec, size: int, dtype: torch.dtype, device: str) -> Tensor:
    shape = (size, *what.shape)
    if what.kind == "int":
        return torch.randint(what.bound, shape, device=device)
    return torch.randn(shape, dtype=dtype, device=device)


def _update_bytes_per_s(spec: NetSpec, device: str, rounds: int) -> float:
    """Time AdamW on the block with the most weights."""
    dtype = DTYPES[spec.precision]
    modules = (build_block(spec, block.name, dtype=dtype, device=device) for block in spec.blocks)
    module = max(modules, key=_weight_bytes)
    optimizer = torch.optim.AdamW(module.parameters())
    times = []
    for _ in range(WARM_UP + rounds):
        for weight in module.parameters():
            weight.grad = torch.ones_like(weight)
        began = _now(device)
        optimizer.step()
        times.append(_now(device) - began)
    return _weight_bytes(module) / max(median(times[WARM_UP:]), 1e-12)


def _weight_bytes(module: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in module.parameters())


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
