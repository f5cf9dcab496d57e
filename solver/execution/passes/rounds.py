"""Rounds: local steps of every device's own copies, then upload, aggregation at a server, and download.

Every copy of a block trains on the mean over the samples it has computed itself, with an optimizer of its own
whose state stays where it is. At the end of a round the copies are averaged, each weighted by its samples:

- ``fedavg``: all trained weights (McMahan et al., 2017, arXiv:1602.05629);
- ``zero_pad``: the factors of adapters of unequal rank are filled up with zeros to the largest rank before
  they are averaged, and cut again on the way back (Cho et al., HetLoRA, 2024, arXiv:2401.06432);
- ``stack``: the factors are stacked, so that their product is the weighted sum of all products; every device
  adds it to its frozen weights and starts its adapters anew (Wang et al., FLoRA, 2024, arXiv:2409.05976);
- ``ffa``: only the B factors are trained, and averaged as in ``zero_pad`` (Sun et al., FFA-LoRA, 2024,
  arXiv:2403.12313).

Weights of blocks that are trained in full are averaged under every rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from models.nets import catalog
from models.nets.lora import AdaptedLinear, adapter_seed
from models.nets.net import Net
from models.workload import Workload
from solver.execution.passes.memory import Meter
from solver.execution.passes.replica import Replica
from solver.execution.passes.tuning import Tuning
from solver.plan import Plan
from solver.program import Kind, Program, Row

Name = tuple[str, str]
"""A block, and one of its parameters."""

A, B = "lora_a", "lora_b"


def samples_of(program: Program) -> dict[str, dict[str, int]]:
    """Return how many samples of a step every device computes of every block.

    Parameters
    ----------
    program
        A round.
    """
    found: dict[str, dict[str, int]] = {}
    counted: set[tuple[str, str, int, int]] = set()
    for index in range(program.step_starts[1]):
        row, i = program.rows[program.row[index]], int(program.micro_batch[index])
        for block in row.blocks if row.kind == Kind.FORWARD else ():
            if (row.device, block, row.pipeline, i) not in counted:
                counted.add((row.device, block, row.pipeline, i))
                own = found.setdefault(block, {})
                own[row.device] = own.get(row.device, 0) + row.samples[1] - row.samples[0]
    return found


class Rounds:
    """One worker's part in the rounds of a run.

    Parameters
    ----------
    plan, workload, program
        What is run.
    device
        Its name.
    replica
        Its weights.
    seed
        Of the run.
    """

    def __init__(
        self, plan: Plan, workload: Workload, program: Program, device: str, replica: Replica, seed: int
    ) -> None:
        self.plan, self.workload, self.device, self.replica, self.seed = plan, workload, device, replica, seed
        self.rule, self.batch = plan.sync.rule, plan.job.batch
        self.samples = samples = samples_of(program)
        self.own_samples = {block: own.get(device, 0) for block, own in samples.items()}
        self.shared = {block: samples[block] for block in workload.order if len(samples.get(block, ())) > 1}
        self._shapes: dict[str, dict[Name, torch.Size]] = {}
        self._received: dict[str, dict[Name, Tensor]] = {}
        self._results: dict[Name, Tensor] = {}

    def before_update(self) -> None:
        """Make gradients the mean over the samples that a block has computed here."""
        for ((block,), _), flat in self.replica.gradients.items():
            if self.own_samples.get(block):
                flat.mul_(self.batch / self.own_samples[block])

    def outgoing(self, row: Row) -> list[Tensor]:
        """Return the tensors of an upload or a download."""
        if row.phase == "upload":
            return [weight.detach() for weight in self._own().values()]
        return [self._result_for(row.peer or "", name) for name in self._shapes_of(row.peer or "")]

    def expect(self, row: Row, meter: Meter) -> list[Tensor]:
        """Return the tensors that an upload or a download is received into."""
        source = row.peer or ""
        shapes = self._shapes_of(source if row.phase == "upload" else self.device)
        if row.phase == "download":
            shapes = {name: self._download_shape(name, shape) for name, shape in shapes.items()}
        found = {name: torch.empty(shape, dtype=self.replica.dtype) for name, shape in shapes.items()}
        self._received[source] = found
        meter.take(_size(found))
        return list(found.values())

    def aggregate(self, meter: Meter) -> None:
        """Average what has arrived and what the server holds itself."""
        taken = sum(map(_size, self._received.values()))
        own = {name: weight.detach() for name, weight in self._own().items()}
        for block, samples in self.shared.items():
            known = {d: own if d == self.device else self._received[d] for d in samples}
            for name in [name for name in known[next(iter(samples))] if name[0] == block]:
                copies = [known[d].pop(name) for d in samples]
                self._results[name] = self._combine(name[1], copies, list(samples.values()))
        self._take_over({name: self._result_for(self.device, name) for name in self._own()})
        self._received.clear()
        meter.take(-taken)

    def adopt(self, meter: Meter) -> None:
        """Take over what was downloaded."""
        (found,) = self._received.values()
        self._take_over(found)
        self._received.clear()
        meter.take(-_size(found))

    def finish(self) -> None:
        """Forget the round."""
        self._results.clear()

    def _take_over(self, found: Mapping[Name, Tensor]) -> None:
        """Set weights; stacked factors are added to frozen weights instead."""
        for (block, parameter), tensor in found.items():
            module, (path, _, last) = self.replica.net.blocks[block], parameter.rpartition(".")
            if not self._stacks(parameter):
                module.get_parameter(parameter).detach().copy_(tensor)
            elif last == A:
                layer = module.get_submodule(path)
                assert isinstance(layer, AdaptedLinear)
                layer.merge(tensor, found[block, f"{path}.{B}"])
                layer.restart(adapter_seed(self.seed, block, path))
                for weight in (layer.lora_a, layer.lora_b):
                    self.replica.forget(weight)

    def _own(self) -> dict[Name, nn.Parameter]:
        """Return the trained weights of shared blocks that are held here."""
        return _trained(self.replica.net, self.shared)

    def _shapes_of(self, device: str) -> dict[Name, torch.Size]:
        """Return the shapes of what a device uploads."""
        if device not in self._shapes:
            blocks = [block for block in self.workload.order if device in self.samples.get(block, ())]
            assert self.workload.net is not None
            net = catalog.build(self.workload.net, self.seed, self.replica.dtype, "meta", blocks)
            Tuning.of(self.plan, self.workload, device).apply(net, self.seed)
            weights = _trained(net, self.shared)
            self._shapes[device] = {name: weight.shape for name, weight in weights.items()}
        return self._shapes[device]

    def _rank(self, device: str, name: Name) -> int:
        return self._shapes_of(device)[name][0 if name[1].endswith(A) else 1]

    def _download_shape(self, name: Name, shape: torch.Size) -> torch.Size:
        if not self._stacks(name[1]):
            return shape
        rank = sum(self._rank(device, name) for device in self.shared[name[0]])
        return torch.Size((rank, shape[1]) if name[1].endswith(A) else (shape[0], rank))

    def _stacks(self, name: str) -> bool:
        return self.rule == "stack" and name.endswith((A, B))

    def _combine(self, name: str, copies: Sequence[Tensor], samples: Sequence[int]) -> Tensor:
        """Return the weighted average of all copies of a weight, or their stack."""
        parts = [count / sum(samples) for count in samples]
        if self._stacks(name):
            if name.endswith(A):
                return torch.cat(list(copies))
            return torch.cat([part * copy for part, copy in zip(parts, copies, strict=True)], dim=1)
        shape = [max(sizes) for sizes in zip(*(copy.shape for copy in copies), strict=True)]
        total = torch.zeros(shape, dtype=copies[0].dtype)
        for part, copy in zip(parts, copies, strict=True):
            total[tuple(slice(size) for size in copy.shape)].add_(copy, alpha=part)
        return total

    def _result_for(self, device: str, name: Name) -> Tensor:
        result = self._results[name]
        if self._stacks(name[1]):
            return result
        return result[tuple(slice(size) for size in self._shapes_of(device)[name])].contiguous()


def _trained(net: Net, blocks: Iterable[str]) -> dict[Name, nn.Parameter]:
    """Return the trained weights of some blocks, as far as they are held, in the order of messages."""
    return {
        (block, name): weight
        for block in blocks
        if block in net.blocks
        for name, weight in net.weights(block).items()
        if weight.requires_grad
    }


def _size(tensors: Mapping[Name, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
