"""Costs of every block once a job is known: what is trained decides flop and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.cluster import Device
from models.workload import NUM_BYTES, Block, Workload
from solver.job import OPTIMIZER_PASSES, OPTIMIZER_STATES, Job

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True)
class BlockCost:
    """Costs of one block per sample, in the job's precision, for one LoRA rank.

    Parameters
    ----------
    forward_flop, backward_flop
        Operations of the passes; the backward has only the gradients the job needs.
    weight_bytes, trained_bytes
        All weights (adapters included), and those that are trained.
    cut_weight_bytes, cut_trained_bytes
        The part of them that mode tensor cuts.
    kept_bytes
        Kept from forward to backward.
    input_bytes
        Size of all inputs: what a recomputed block keeps.
    output_bytes
        Size of the output.
    has_backward
        Whether a backward pass runs at all.
    """

    forward_flop: float
    backward_flop: float
    weight_bytes: int
    trained_bytes: int
    cut_weight_bytes: int
    cut_trained_bytes: int
    kept_bytes: int
    input_bytes: int
    output_bytes: int
    has_backward: bool


class Costs:
    """Costs of a workload's blocks under a job.

    Parameters
    ----------
    workload
        What is trained or served.
    job
        Decides precision and what is trained.
    trains_a
        Whether an adapter's A factor is trained beside B; it is not under the aggregation rule ``ffa``.

    Notes
    -----
    A gradient with respect to a block's input is needed when something before the block is trained.
    LoRA: an adapter of rank r on a matrix (in, out) adds r (in + out) weights, 2 r (in + out) flop per
    row forward, and twice that backward; a block with adapters and nothing trained before it is
    charged its whole input gradient, an upper bound that concerns the first adapted block only. Mode tensor
    does not cut adapters: every device of a group holds them whole.
    """

    def __init__(self, workload: Workload, job: Job, *, trains_a: bool = True) -> None:
        self.workload = workload
        self.job = job
        self.trains_a = trains_a
        self._cache: dict[tuple[str, int | None], BlockCost] = {}

    @cached_property
    def trains(self) -> dict[str, str]:
        """For every block: ``full``, ``lora`` or ``none``."""
        job = self.job
        found = {}
        for block in self.workload.blocks:
            if job.kind == "serve" or block.frozen or block.name in job.frozen:
                found[block.name] = "none"
            elif job.tune == "full" or block.name in job.trained:
                found[block.name] = "full" if block.weight_bytes else "none"
            else:
                found[block.name] = "lora" if block.adapters else "none"
        return found

    @cached_property
    def below(self) -> dict[str, bool]:
        """For every block: whether anything before it is trained."""
        found: dict[str, bool] = {}
        for name in self.workload.order:
            before = (edge.source for edge in self.workload.predecessors[name])
            found[name] = any(found[source] or self.trains[source] != "none" for source in before)
        return found

    def has_backward(self, name: str) -> bool:
        """Return whether a block runs a backward pass (so a gradient of its output is needed)."""
        return self.below[name] or self.trains[name] != "none"

    def bytes(self, size: int) -> int:
        """Return a size of the card in the job's precision, bytes."""
        return -(-size * NUM_BYTES[self.job.precision] // NUM_BYTES[self.workload.precision])

    def block(self, name: str, rank: int | None = None) -> BlockCost:
        """Return the costs of one block.

        Parameters
        ----------
        name
            Name of the block.
        rank
            LoRA rank on the device that holds it; the job's if ``None``.
        """
        key = (name, rank)
        if key not in self._cache:
            self._cache[key] = self._resolve(self.workload.by_name[name], rank)
        return self._cache[key]

    def _resolve(self, block: Block, rank: int | None) -> BlockCost:
        how, below = self.trains[block.name], self.below[block.name]
        backward = block.backward_input_flop * (below or how == "lora")
        backward += block.backward_weight_flop * (how == "full")
        forward, a_bytes, b_bytes, extra_kept = block.forward_flop, 0, 0, 0
        if how == "lora":
            r = rank or self.job.lora_rank or 1
            item = NUM_BYTES[self.job.precision]
            inputs = {}
            for adapter in block.adapters:
                a_bytes += r * adapter.in_features * item
                b_bytes += r * adapter.out_features * item
                half = 2.0 * r * adapter.tokens
                forward += half * (adapter.in_features + adapter.out_features)
                backward += half * (adapter.in_features * (self.trains_a + below) + adapter.out_features * 2)
                if self.trains_a:
                    inputs[adapter.input] = adapter.tokens * adapter.in_features * item
                extra_kept += r * adapter.tokens * item
            extra_kept += sum(inputs.values())
        kept = {"full": block.kept_bytes, "lora": block.kept_frozen_bytes}.get(how)
        if kept is None:
            kept = block.kept_frozen_bytes if below else 0
        weight = self.bytes(block.weight_bytes)
        cut = self.bytes(block.tensor.weight_bytes) if block.tensor else 0
        into = self.workload.predecessors[block.name]
        return BlockCost(
            forward_flop=forward,
            backward_flop=backward,
            weight_bytes=weight + a_bytes + b_bytes,
            trained_bytes=weight if how == "full" else a_bytes * self.trains_a + b_bytes,
            cut_weight_bytes=cut,
            cut_trained_bytes=cut if how == "full" else 0,
            kept_bytes=self.bytes(kept) + extra_kept if self.job.kind == "train" else 0,
            input_bytes=sum(self.bytes(self.workload.by_name[e.source].output_bytes) for e in into),
            output_bytes=self.bytes(block.output_bytes),
            has_backward=self.has_backward(block.name),
        )

    def time_s(
        self, name: str, device: Device, samples: float, part: float = 1.0, rank: int | None = None
    ) -> tuple[float, float]:
        """Return (forward, backward) seconds of a block on a device.

        Parameters
        ----------
        name
            Name of the block.
        device
            The device, in its power mode.
        samples
            Samples it computes.
        part
            Part of the block's work per sample it computes (tensor, sequence, experts).
        rank
            LoRA rank on the device.

        Notes
        -----
        A measured profile of the device's kind goes before flop / speed; between measured batch sizes
        it is linear, below the first one constant, beyond the last one in proportion to the samples.
        """
        if samples <= 0:
            return 0.0, 0.0
        cost = self.block(name, rank)
        profile = device.times(self.workload).get(name)
        if profile is not None:
            sizes = profile.samples
            scale = max(1.0, samples / sizes[-1]) * part
            forward = float(np.interp(samples, sizes, profile.forward_s)) * scale
            backward = float(np.interp(samples, sizes, profile.backward_s)) * scale
            return forward, backward if cost.has_backward else 0.0
        speed = device.flop_per_s[self.job.precision].value
        return cost.forward_flop * samples * part / speed, cost.backward_flop * samples * part / speed

    def times_s(self, name: str, device: Device, samples: Longs) -> Floats:
        """Return (2, N) forward and backward seconds of a block on a device; see :meth:`time_s`.

        Parameters
        ----------
        name, device
            The block, and the device in its power mode.
        samples
            (N,), samples it computes.
        """
        cost, profile = self.block(name), device.times(self.workload).get(name)
        if profile is None:
            flop = np.array([[cost.forward_flop], [cost.backward_flop]])
            found: Floats = flop * samples / device.flop_per_s[self.job.precision].value
            return found
        scale = np.maximum(1.0, samples / profile.samples[-1])
        forward = np.interp(samples, profile.samples, profile.forward_s) * scale
        backward = np.interp(samples, profile.samples, profile.backward_s) * scale
        return np.where(samples > 0, [forward, backward if cost.has_backward else 0 * backward], 0.0)

    def copy_s(self, name: str, device: Device, samples: float) -> float:
        """Return the seconds of one copy of a block's output between a device and host memory.

        Parameters
        ----------
        name
            Name of the block.
        device
            The device.
        samples
            Samples it copies.

        Notes
        -----
        Between and beyond measured batch sizes as :meth:`time_s`; 0 where no copies were measured.
        """
        profile = device.times(self.workload).get(name)
        if profile is None or not profile.copy_s or samples <= 0:
            return 0.0
        scale = max(1.0, samples / profile.samples[-1])
        return float(np.interp(samples, profile.samples, profile.copy_s)) * scale

    def update_s(self, device: Device, trained_bytes: int) -> float:
        """Return the seconds of a weight update, bounded by the device's memory bandwidth."""
        if device.memory_bytes_per_s is None:
            return 0.0
        return OPTIMIZER_PASSES[self.job.optimizer] * trained_bytes / device.memory_bytes_per_s.value

    def state_bytes(self, trained_bytes: int) -> int:
        """Return the bytes of optimizer state beside trained weights."""
        return OPTIMIZER_STATES[self.job.optimizer] * trained_bytes
