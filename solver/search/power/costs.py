"""Power costs: seconds and joules of stages of one device in one mode, for one number of micro-batches.

Joules are kept in accounts: the objective's, and another one that may be limited. An account says what a
joule of each device counts in it: 1, or the grams CO2e of its supply. Batteries are limits on the step:
waiting is energy, so a device's battery lasts for a step of so many seconds at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from models.cluster import Device
from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables
from solver.search.chains.trust import boundary_untrusted_bytes, untrusted_limit
from solver.search.power.expanded import Expanded
from solver.search.step_limits import KEPT, StepLimits, step_limits, worth_of_joule

SMALL = 1e-9
"""Part of what plans count in an account that is taken for a limit of 0."""
OTHER = {"energy": "carbon", "carbon": "energy"}
"""The account that may be limited beside that of the objective."""


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
        (V, n, n): what a step takes above idle, in the objective's unit.
    fits
        (depths + 1, V, n, n): whether the stage fits into memory with so many stages from it to the end.
    waiting_w
        (V,): idle power above what its device draws at least, in the objective's unit per second.
    link_s, link_longest_s
        (D + 1, D + 1, n): a message and its gradient over a boundary, and the longer of both; the last device
        is nobody, at no cost.
    link_j
        (D + 1, D + 1, n): what radios take for a step, in the objective's unit.
    other, other_w, link_other
        The same three of the other account, as parts of its limit; 0 without one.
    most_s
        (V, n, n): longest step for which the device's battery lasts if that is its stage.
    radio_waits
        (D,): seconds by which that is shorter for a second of its radio, at least.
    sent_down
        (D + 1, D + 1, n): bytes of a step to a less trusted device, as parts of their limit; 0 without one.
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
    other: Floats
    other_w: Floats
    link_other: Floats
    most_s: Floats
    radio_waits: Floats
    sent_down: Floats


class Account(NamedTuple):
    """What steps count in an account, and the most that they may.

    Parameters
    ----------
    stage, waiting, link
        (V, n, n) for a stage above idle, (V,) per second of waiting above the base, (D + 1, D + 1, n) for the
        radios of a boundary.
    radio
        (D + 1,), for a second of every message of a micro-batch and its gradient.
    base
        Per second of a step, at least.
    most
        Limit, widened by rounding; infinite without one.
    """

    stage: Floats
    waiting: Floats
    link: Floats
    radio: Floats
    base: float
    most: float

    @property
    def as_parts(self) -> Account:
        """In parts of the limit, or of a very small one if that is 0; nothing counts where there is none."""
        if math.isinf(self.most):
            return Account(0 * self.stage, 0 * self.waiting, 0 * self.link, 0 * self.radio, 0.0, 1.0)
        large = float(self.stage.max(initial=0.0) + self.link.max(initial=0.0)) + self.base
        unit = 1 / max(self.most, SMALL * large, 1e-300)
        parts = (unit * self.stage, unit * self.waiting, unit * self.link, unit * self.radio)
        return Account(*parts, unit * self.base, 1.0)


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
    def objective(self) -> str:
        """Objective whose account is minimised: carbon, or energy."""
        return "carbon" if self.expanded.original.objective == "carbon" else "energy"

    @cached_property
    def limits(self) -> StepLimits:
        """The most that a step may take."""
        return step_limits(self.expanded.original)

    @cached_property
    def limit_s(self) -> float:
        """Longest step: by the deadline, and by batteries even of devices that do nothing."""
        draws = self.base_w > 0
        lasts_s = self.limits.device_j[draws] / self.base_w[draws]
        return min(self.limits.step_s, float(lasts_s.min(initial=math.inf)))

    @cached_property
    def main(self) -> Account:
        """The objective's account."""
        return self.account(self.objective)

    @cached_property
    def other(self) -> Account:
        """The other account, in parts of its limit."""
        return self.account(OTHER[self.objective]).as_parts

    def account(self, objective: str) -> Account:
        """Return what stages, waiting and radios count in an account.

        Parameters
        ----------
        objective
            ``energy`` or ``carbon``.
        """
        every = worth_of_joule(self.expanded.original, objective)
        worth, of_device = every[self._place], every[self._first_place]
        boards, base_w = self._boards, self.base_w[self._place]
        waiting_w = np.array([board.idle_w.value for board in boards]) - base_w
        size = len(of_device)
        radio_w = np.zeros(size + 1)
        radio_w[:size] = of_device * [boards[v].radio_w.value for v in self._firsts]
        both_w = radio_w[:, None] + radio_w[None, :]
        return Account(
            worth[:, None, None] * self._stage_j,
            worth * waiting_w,
            self.num_micro_batches * both_w[:, :, None] * self._links[0],
            self.num_micro_batches * radio_w,
            float((every * self.base_w).sum()),
            self.limits.of(objective),
        )

    @cached_property
    def _boards(self) -> list[Device]:
        return [self.tables.problem.cluster.by_name[name] for name in self.tables.devices]

    @cached_property
    def _allowed(self) -> Bools:
        found: Bools = np.isfinite(self.tables.compute_s) & self.tables.allowed
        return found

    @cached_property
    def _stage_j(self) -> Floats:
        """(V, n, n): joules of a step above idle."""
        extra_w = np.array([board.busy_w.value - board.idle_w.value for board in self._boards])
        compute = np.where(self._allowed, self.tables.compute_s, 0.0)
        update = np.where(self._allowed, self.tables.update_s, 0.0)
        return np.where(
            self._allowed, extra_w[:, None, None] * (self.num_micro_batches * compute + update), 0.0
        )

    @cached_property
    def costs(self) -> PowerCosts:
        """Everything as arrays."""
        tables, allowed = self.tables, self._allowed
        compute = np.where(allowed, tables.compute_s, np.inf)
        forward = np.where(allowed, tables.forward_s, np.inf)
        back = np.where(allowed, compute - np.where(allowed, forward, 0.0), np.inf)
        most_s, radio_waits = self._batteries()
        return PowerCosts(
            device=self._device,
            compute_s=compute,
            longest_s=np.maximum(forward, back),
            update_s=np.where(allowed, tables.update_s, 0.0),
            stage_j=self.main.stage,
            fits=np.ascontiguousarray(tables.fits.transpose(1, 0, 2, 3)),
            waiting_w=self.main.waiting,
            link_s=self._links[0],
            link_longest_s=self._links[1],
            link_j=self.main.link,
            other=self.other.stage,
            other_w=self.other.waiting,
            link_other=self.other.link,
            most_s=most_s,
            radio_waits=radio_waits,
            sent_down=self._sent_down(),
        )

    def _batteries(self) -> tuple[Floats, Floats]:
        """Return (V, n, n) longest steps for which batteries last, and (D,) what radios take off them."""
        idle_w = np.array([board.idle_w.value for board in self._boards])
        most_j = self.limits.device_j[self._place] * KEPT
        left_j = most_j[:, None, None] - self._stage_j
        with np.errstate(divide="ignore", invalid="ignore"):
            lasts_s = left_j / idle_w[:, None, None]
        most_s = np.where(left_j < 0, -np.inf, np.where(idle_w[:, None, None] > 0, lasts_s, np.inf))
        waits = np.zeros(len(self._firsts))
        for d, v in enumerate(self._firsts.tolist()):
            mine_w = idle_w[self._device == d]
            if math.isfinite(most_j[v]) and mine_w.min() > 0:
                waits[d] = self._boards[v].radio_w.value / mine_w.max()
        return most_s, waits

    def _sent_down(self) -> Floats:
        size, most = len(self._firsts), untrusted_limit(self.expanded.original)
        found = np.zeros((size + 1, size + 1, self.tables.num_blocks + 1))
        if math.isfinite(most):
            sent = boundary_untrusted_bytes(self.tables)[np.ix_(self._firsts, self._firsts)]
            parts = sent / most if most else np.where(sent > 0, np.inf, 0.0)
            found[:size, :size] = parts
        return found

    @cached_property
    def _device(self) -> Longs:
        place = {name: d for d, name in enumerate(self.expanded.original.usable)}
        return np.array([place[name] for name, _ in self.expanded.choices], np.int64)

    @cached_property
    def _firsts(self) -> Longs:
        """(D,): the first stand-in of each device; radios are the same in every mode."""
        _, first = np.unique(self._device, return_index=True)
        return np.asarray(first, np.int64)

    @cached_property
    def _place(self) -> Longs:
        """(V,): number of a stand-in's device in the cluster."""
        names = [device.name for device in self.expanded.original.cluster.devices]
        return np.array([names.index(name) for name, _ in self.expanded.choices], np.int64)

    @property
    def _first_place(self) -> Longs:
        return self._place[self._firsts]

    @cached_property
    def _links(self) -> Floats:
        """(2, D + 1, D + 1, n): seconds of both ways, and of the longer one."""
        tables, size = self.tables, len(self._firsts)
        forward = tables.message_s[np.ix_(self._firsts, self._firsts)]
        back = np.where(tables.gradients, forward.transpose(1, 0, 2), 0.0)
        found = np.zeros((2, size + 1, size + 1, forward.shape[2]))
        found[:, :size, :size] = forward + back, np.maximum(forward, back)
        return found
