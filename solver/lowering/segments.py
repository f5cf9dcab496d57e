"""Segments: what the devices of a stage compute, and the collectives between, for one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from models.workload import Block, Collective
from solver.collective import chunks
from solver.layout import Box, Holding, apportion
from solver.lowering.context import Context
from solver.lowering.stages import BatchClass, StageView


@dataclass(frozen=True)
class Compute:
    """One device computes blocks without a break."""

    device: str
    seconds: float
    blocks: tuple[str, ...]
    samples: tuple[int, int]


@dataclass(frozen=True)
class Exchange:
    """A group exchanges a tensor.

    Parameters
    ----------
    members, operation
        Who does what.
    sizes
        Each member's chunk, bytes.
    block
        Whose tensor it is.
    puts_together
        Whether the chunks arrive beside the tensor they make up: they do not lie in one run of its memory.
    """

    members: tuple[str, ...]
    operation: str
    sizes: tuple[int, ...]
    block: str
    puts_together: bool = False


Item = Compute | Exchange


def part_of(context: Context, block: Block, holding: Holding) -> float:
    """Return the part of a block's work per sample that a holding computes."""
    if holding.mode == "data":
        return expert_part(context, block)
    part = holding.tensor_part(block) * holding.token_part(block)
    return float(part) * expert_part(context, block)


def expert_part(context: Context, block: Block) -> float:
    """Return the part of the tokens a block computes: its capacity, or what its edges are expected to bring.

    Notes
    -----
    The shares of its edges add up, to the whole at most: what gathers the experts' outputs gets all tokens.
    """
    if block.capacity is not None:
        return block.capacity
    edges = context.workload.predecessors[block.name]
    return min(1.0, sum(edge.share for edge in edges)) if edges else 1.0


def segments(context: Context, view: StageView, number: int, phase: str) -> list[Item]:
    """Return what a stage does in one pass, in an order all its devices agree on.

    Parameters
    ----------
    context, view
        The stage.
    number
        Class of the micro-batch.
    phase
        ``forward`` or ``backward``.
    """
    walker = _Walker(context, view, number, phase)
    blocks = view.blocks if phase == "forward" else tuple(reversed(view.blocks))
    for name in blocks:
        walker.visit(context.workload.by_name[name])
    walker.finish()
    return walker.items


class _Walker:
    """Gathers computation per device until a collective interrupts it."""

    def __init__(self, context: Context, view: StageView, number: int, phase: str) -> None:
        self.context, self.view, self.phase = context, view, phase
        self.kind: BatchClass = view.classes[number]
        self.held = view.holdings(context, number)
        self.cells = list(dict.fromkeys(h.cells for h in self.held.values() if len(h.cells) > 1))
        self.items: list[Item] = []
        self.seconds = dict.fromkeys(self.held, 0.0)
        self.blocks: dict[str, list[str]] = {name: [] for name in self.held}
        self.begun: set[str] = set()
        self.bucket: int | None = None
        self.recompute = set(view.stage.recompute) if view.stage else set()

    def visit(self, block: Block) -> None:
        active = self.kind.active[block.name]
        forward = self.phase == "forward"
        if active[0] == active[1] or not (forward or self.context.costs.has_backward(block.name)):
            return
        self._open_bucket(block)
        if forward and self.cells:
            self._gather_inputs(block, active)
        done = 0.0
        for collective in self._collectives(block):
            self._compute(block, active, done, collective.at)
            done = collective.at
            for cell in self.cells:
                self._exchange(block, collective, cell)
        self._compute(block, active, done, 1.0)
        if not forward and self.cells:
            self._gather_gradients(block, active)

    def _open_bucket(self, block: Block) -> None:
        """End the computations before a block that belongs to another bucket."""
        bucket = self.view.bucket_of.get(block.name) if self.kind.is_last else None
        if bucket != self.bucket:
            self.finish()
        self.bucket = bucket

    def finish(self) -> None:
        for device in self.held:
            self._flush(device)

    def _collectives(self, block: Block) -> list[Collective]:
        if not self.cells:
            return []
        modes = {h.mode for h in self.held.values() if len(h.cells) > 1}
        found: list[Collective] = []
        if "tensor" in modes and block.tensor is not None:
            found += block.tensor.collectives
        if "sequence" in modes and block.sequence is not None:
            found += block.sequence.collectives
        return sorted((c for c in found if c.phase == self.phase), key=lambda c: c.at)

    def _compute(self, block: Block, active: tuple[int, int], start: float, end: float) -> None:
        for device, holding in self.held.items():
            low, high = max(holding.samples[0], active[0]), min(holding.samples[1], active[1])
            if high <= low or end <= start:
                continue
            board = self.context.devices[device]
            forward, backward = self.context.costs.time_s(
                block.name,
                board,
                high - low,
                part_of(self.context, block, holding),
                self.context.rank(device),
            )
            seconds = forward if self.phase == "forward" else backward
            if self.phase == "backward" and block.name in self.recompute:
                seconds += forward
            overhead = board.overhead_s.value if end == 1.0 else 0.0
            self.seconds[device] += seconds * (end - start) + overhead
            if block.name not in self.blocks[device]:
                self.blocks[device].append(block.name)

    def _flush(self, device: str) -> None:
        if self.blocks[device]:
            samples = self.held[device].samples
            item = Compute(device, self.seconds[device], tuple(self.blocks[device]), samples)
            self.items.append(item)
            self.begun.add(device)
        self.seconds[device], self.blocks[device] = 0.0, []

    def _exchange(self, block: Block, collective: Collective, cell: tuple[str, ...]) -> None:
        holding = self.held[cell[0]]
        if (holding.mode == "tensor") != (
            block.tensor is not None and collective in block.tensor.collectives
        ):
            return
        active = self.kind.active[block.name]
        samples = min(holding.samples[1], active[1]) - max(holding.samples[0], active[0])
        total = self.context.costs.bytes(collective.bytes_per_sample) * max(0, samples)
        if collective.operation == "all_reduce":
            sizes = chunks(total, len(cell), 1)
        else:
            parts = [self.held[d].tensor_part(block) * self.held[d].token_part(block) for d in cell]
            sizes = _proportional(parts, total)
        self._add(cell, collective.operation, sizes, block.name)

    def _add(
        self,
        cell: tuple[str, ...],
        operation: str,
        sizes: list[int],
        block: str,
        *,
        puts_together: bool = False,
    ) -> None:
        if sum(sizes) == 0:
            return
        for device in cell:
            if device not in self.begun and not self.blocks[device]:
                # A collective waits for no message, so something before it must.
                self.blocks[device].append(block)
            self._flush(device)
        self.items.append(Exchange(cell, operation, tuple(sizes), block, puts_together))

    def _gather_inputs(self, block: Block, active: tuple[int, int]) -> None:
        """Inside a stage: gather an input that is held in slices and needed whole."""
        workload = self.context.workload
        for edge in workload.predecessors[block.name]:
            if edge.source in self.view.inside:
                source = workload.by_name[edge.source]
                has = {d: h.output_box(source, active) for d, h in self.held.items()}
                needs = {d: h.input_box(source, block, active) for d, h in self.held.items()}
                self._gather(source, has, needs)

    def _gather_gradients(self, block: Block, active: tuple[int, int]) -> None:
        workload = self.context.workload
        for edge in workload.predecessors[block.name]:
            if edge.source in self.view.inside and self.context.costs.has_backward(edge.source):
                source = workload.by_name[edge.source]
                has = {d: h.input_box(source, block, active) for d, h in self.held.items()}
                needs = {d: h.output_box(source, active) for d, h in self.held.items()}
                self._gather(source, has, needs)

    def _gather(self, source: Block, has: dict[str, Box], needs: dict[str, Box]) -> None:
        for cell in self.cells:
            if all((needs[d] & has[d]) == needs[d] or needs[d].size == 0 for d in cell):
                continue
            sizes = [box_bytes(self.context, source, has[device]) for device in cell]
            self._add(cell, "all_gather", sizes, source.name, puts_together=True)


def _proportional(parts: list[Fraction], total: int) -> list[int]:
    return list(apportion({str(i): float(part) for i, part in enumerate(parts)}, total).values())


def box_bytes(context: Context, block: Block, box: Box, part: float = 1.0) -> int:
    """Return the bytes of a slice of a block's output in the job's precision, rounded up."""
    size = context.costs.bytes(block.output_bytes)
    if part == 1:
        return -(-box.size * size // (block.tokens * block.columns))
    exact = Fraction(box.size * size, block.tokens * block.columns) * Fraction(part).limit_denominator(10**6)
    return -(-exact.numerator // exact.denominator)
