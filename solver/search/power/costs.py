"""Power costs: seconds and joules of stages of one device in one mode, for one number of micro-batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables
from solver.search.power.expanded import Expanded


class PowerCosts(NamedTuple):
    """V stand-ins of D devices, L blocks, n = L + 1 boundaries; a stage [h, i) is on one stand-in.

    Parameters
    ----------
    device
        (V,), device of a stand-in.
    compute_s, longest_s
        (V, n, n): both passes of a micro-batch, and the longer one; infinite where a stage cannot be.
    update_s
        (V, n, n): the weight update.
    stage_j
        (V, n, n): what a step takes above idle.
    fits
        (depths + 1, V, n, n): whether the stage fits into memory with so many stages from it to the end.
    waiting_w
        (V,): idle power above what its device draws at least.
    link_s, link_longest_s
        (D + 1, D + 1, n): a message and its gradient over a boundary, and the longer of both; the last device
        is nobody, at no cost.
    link_j
        (D + 1, D + 1, n): what radios take for a step.
    """

    device: Longs
    compute_s: Floats
    longest_s: Floats
    update_s: Floats
    stage_j: Floats
    fits: Bools
    waiting_w: Floats
    link_s: Floats
    link_longest_s: Floats
    link_j: Floats


@dataclass(frozen=True)
class PowerTables(ChainTables):
    """Chain tables of stand-ins; a plan has no more stages than there are devices behind them."""

    num_devices: int = 1

    @property
    def max_depth(self) -> int:
        """Most stages a plan can have."""
        return min(self.num_devices, self.num_blocks)


@dataclass(frozen=True)
class PowerModel:
    """Costs of one number of micro-batches.

    Parameters
    ----------
    expanded
        The problem and its stand-ins.
    num_micro_batches
        Micro-batches of a step.
    """

    expanded: Expanded
    num_micro_batches: int

    @cached_property
    def tables(self) -> PowerTables:
        """Stages of stand-ins as the evaluator counts them."""
        num_devices = len(self.expanded.original.usable)
        return PowerTables(self.expanded.problem, self.num_micro_batches, num_devices)

    @cached_property
    def base_w(self) -> Floats:
        """(all devices,): what each draws at least, in a stage or in none."""
        problem = self.expanded.original
        found = []
        for device in problem.cluster.devices:
            boards = [device.in_mode(mode) for mode in self.expanded.modes[device.name]]
            rest_w = min(board.left_out_w(problem.left_out) for board in boards)
            takes_part = device.name in problem.usable
            found.append(min([rest_w, *(board.idle_w.value for board in boards if takes_part)]))
        return np.array(found)

    @cached_property
    def costs(self) -> PowerCosts:
        """Everything as arrays."""
        tables, count = self.tables, self.num_micro_batches
        boards = [tables.problem.cluster.by_name[name] for name in tables.devices]
        extra_w = np.array([board.busy_w.value - board.idle_w.value for board in boards])[:, None, None]
        allowed = np.isfinite(tables.compute_s) & tables.allowed
        update = np.where(allowed, tables.update_s, 0.0)
        compute = np.where(allowed, tables.compute_s, np.inf)
        forward = np.where(allowed, tables.forward_s, np.inf)
        stage_j = np.where(allowed, extra_w * (count * np.where(allowed, compute, 0.0) + update), 0.0)
        back = np.where(allowed, compute - np.where(allowed, forward, 0.0), np.inf)
        link_s, longest, link_j = self._links()
        return PowerCosts(
            device=self._device,
            compute_s=compute,
            longest_s=np.maximum(forward, back),
            update_s=update,
            stage_j=stage_j,
            fits=np.ascontiguousarray(tables.fits.transpose(1, 0, 2, 3)),
            waiting_w=np.array([b.idle_w.value for b in boards]) - self._base_of_stand_in,
            link_s=link_s,
            link_longest_s=longest,
            link_j=link_j,
        )

    @cached_property
    def _device(self) -> Longs:
        place = {name: d for d, name in enumerate(self.expanded.original.usable)}
        return np.array([place[name] for name, _ in self.expanded.choices], np.int64)

    @property
    def _base_of_stand_in(self) -> Floats:
        names = [device.name for device in self.expanded.original.cluster.devices]
        found: Floats = self.base_w[[names.index(name) for name, _ in self.expanded.choices]]
        return found

    def _links(self) -> tuple[Floats, Floats, Floats]:
        """Return seconds of both ways, of the longer one, and joules; radios are the same in every mode."""
        tables, size = self.tables, len(self.expanded.original.usable)
        _, first = np.unique(self._device, return_index=True)
        forward = tables.message_s[np.ix_(first, first)]
        back = np.where(tables.gradients, forward.transpose(1, 0, 2), 0.0)
        by_name = tables.problem.cluster.by_name
        radio_w = np.array([by_name[tables.devices[v]].radio_w.value for v in first])
        both_w = radio_w[:, None] + radio_w[None, :]
        joules = self.num_micro_batches * both_w[:, :, None] * (forward + back)
        shape = (size + 1, size + 1, forward.shape[2])
        found = np.zeros((3, *shape))
        found[:, :size, :size] = forward + back, np.maximum(forward, back), joules
        return found[0], found[1], found[2]
