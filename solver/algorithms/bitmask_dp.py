"""bitmask_dp: exact plans of chains with one device a stage, in any order of the devices.

Source: the dynamic program over sets of machines of Held and Karp (J. SIAM 10, 1962), on prefixes of a chain
as in Bokhari, "Partitioning problems in parallel, pipelined, and distributed computing", IEEE Trans.
Computers 37(1), 1988. It goes from the last stage to the first, because the memory of a stage depends on how
many stages follow; a minimax is found by thresholds. Memory, lanes and shared media are those of the
evaluator, so there is nothing to round.

- Links all alike: a state is (set of devices, first block); 2^D D L^2 / 64 word operations a threshold.
- Links all alike over a shared medium: the same states with the least load of the medium.
- Unequal links: the state also has the first stage's device, and all labels (busy time of that device's lane
  which its boundary has yet to fill, load of each shared medium) that no other beats.

Assumes messages that take as long one way as the other. Declines what is not a chain that is trained, more
than 16 devices (10 where links are unequal), and links that differ by direction. Claim: exact under
``bottleneck`` for every micro-batch count allowed; under ``time`` a plan and a valid bound. Stages that break
a deadline, a budget or a battery whatever else there is are left out; under such limits the bound holds, and
plans that break them are not kept (``interval_ilp`` proves more).
"""

from __future__ import annotations

import math

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Floats, Ints
from solver.search.chains.chain import Bools, ChainTables
from solver.search.chains.chain_value import bottleneck_s, step_bound_s
from solver.search.chains.exact_chain import Stages, solve_chain
from solver.search.chains.subsets import Words, extend_labels, extend_reach, extend_slack, pack
from solver.search.chains.threshold import Least, least
from solver.search.incumbent import Search
from solver.search.power.alone import kept_alone, limited_model
from solver.status import Outcome

MOST_DEVICES, MOST_DEVICES_UNEQUAL = 16, 10
CHUNK = 2048
"""Sets of devices between two looks at the clock."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the best chain of stages of one device each.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    return solve_chain(problem, search, SubsetMethod)


class SubsetMethod:
    """Dynamic programs over subsets for one micro-batch count.

    Parameters
    ----------
    tables
        Costs of stages.
    search
        Says when to stop.
    """

    def __init__(self, tables: ChainTables, search: Search) -> None:
        self.tables, self.search = tables, search
        num = len(tables.devices)
        most = MOST_DEVICES if tables.is_uniform else MOST_DEVICES_UNEQUAL
        if num > most:
            kind = "alike" if tables.is_uniform else "unequal"
            raise DeclinedError(f"{num} devices with links {kind}: bitmask_dp takes {most}; use interval_ilp")
        if not tables.is_symmetric:
            raise DeclinedError("links differ by direction; use interval_ilp")
        model = limited_model(tables.problem, tables.num_micro_batches)
        self.fits = tables.fits if model is None else tables.fits & kept_alone(model)[:, None]

    def feasible(self) -> Stages | None:
        """Return stages that fit into memory, if there are any."""
        return self._reach(self.fits)

    def least_bottleneck(self, known: Stages) -> Least[Stages]:
        """Return the stages with the least bottleneck, given some that fit."""
        tables = self.tables

        def attempt(limit: float) -> tuple[float, Stages] | None:
            if not tables.is_uniform:
                stages = self._labels(limit)
            elif len(tables.media):
                stages = self._medium(limit)
            else:
                stages = self._reach(self.fits & (tables.lane_s <= limit)[:, None])
            return None if stages is None else (bottleneck_s(tables, stages), stages)

        return least(attempt, tables.work_s, (bottleneck_s(tables, known), known))

    def least_step_bound(self, known: Stages, floor: float, ceiling: float) -> Least[Stages]:
        """Return the stages with the least bound on their step, unless it is outside two limits."""
        tables = self.tables

        def attempt(limit: float) -> tuple[float, Stages] | None:
            stages = self._filled(limit)
            return None if stages is None else (step_bound_s(tables, stages), stages)

        return least(attempt, floor, (step_bound_s(tables, known), known), ceiling=ceiling)

    def least_factor(self) -> tuple[float, Stages] | None:
        """Return the least factor on all memories with which stages fit, and the stages."""
        tables = self.tables
        ratio = tables.need_bytes[None] / tables.limit_bytes[:, None, None, None]
        ratio[:, 0] = np.inf
        ratio = np.where(tables.allowed[:, None], ratio, np.inf)
        place = {name: v for v, name in enumerate(tables.devices)}

        def attempt(limit: float) -> tuple[float, Stages] | None:
            stages = self._reach((ratio <= limit) & np.isfinite(ratio))
            if stages is None:
                return None
            parts = [ratio[place[n], len(stages) - s, h, i] for s, (n, h, i) in enumerate(stages)]
            return float(max(parts)), stages

        first = attempt(math.inf)
        if first is None:
            return None
        found = least(attempt, 1.0 - 1e-9, first)
        return found.value, found.answer

    def _reach(self, allowed: Bools) -> Stages | None:
        """Return stages of allowed intervals, by (device, depth, first block, end), if there are any."""
        words = pack(allowed)
        num, ends = allowed.shape[0], allowed.shape[2]
        reach = np.zeros((1 << num, words.shape[3]), np.uint64)
        reach[0, (ends - 1) // 64] = np.uint64(1) << np.uint64((ends - 1) % 64)
        mask = -1
        for first in range(1, 1 << num, CHUNK):
            self.search.tick()
            mask = int(extend_reach(first, min(first + CHUNK, 1 << num), words, reach))
            if mask >= 0:
                break
        if mask < 0:
            return None
        stages: Stages = []
        h = 0
        while mask:
            v, i = self._step(allowed, reach, mask, h)
            stages.append((self.tables.devices[v], h, i))
            mask, h = mask ^ (1 << v), i
        return stages

    def _step(self, allowed: Bools, reach: Words, mask: int, h: int) -> tuple[int, int]:
        """Return device and end of a first stage that begins at a block which the set reaches."""
        depth, ends = mask.bit_count(), allowed.shape[2]
        for v in range(allowed.shape[0]):
            for i in range(h + 1, ends) if mask >> v & 1 else ():
                word = int(reach[mask ^ (1 << v), i // 64])
                if allowed[v, depth, h, i] and word >> (i % 64) & 1:
                    return v, i
        raise AssertionError("a state that is reached has a stage")

    def _medium(self, limit: float) -> Stages | None:
        """Return stages with no lane above a limit where all links are alike and share a medium."""
        tables = self.tables
        message = tables.message_s[0, 1]
        pay = np.where(tables.gradients, 2 * message, message)
        own = np.zeros_like(tables.compute_s)
        allowed = self.fits & (tables.lane_s <= limit)[:, None]
        each = np.broadcast_to(pay, (len(tables.devices), 1, len(pay))).copy()
        return self._slack(allowed, np.full_like(own, limit), own, each, limit)

    def _filled(self, limit: float) -> Stages | None:
        """Return stages whose bound on the step is not above a limit."""
        tables, count = self.tables, self.tables.num_micro_batches
        compute, update = tables.compute_s, tables.update_s
        fine = count * compute + update <= limit
        if tables.is_uniform:
            fine = fine & (count * tables.lane_s <= limit)
        cap, own = limit - count * np.where(np.isfinite(compute), compute, 0), np.where(fine, compute, 0)
        cap[:, 0] -= update[:, 0]
        own[:, 0] += update[:, 0]
        both = tables.message_s + np.where(tables.gradients, tables.message_s.transpose(1, 0, 2), 0)
        pay = both if not tables.is_uniform else both.max(axis=1, keepdims=True)
        return self._slack(self.fits & fine[:, None], cap, own, pay, math.inf)

    def _slack(self, allowed: Bools, cap: Floats, own: Floats, pay: Floats, start: float) -> Stages | None:
        num, ends, fronts = allowed.shape[0], allowed.shape[2], pay.shape[1]
        slack = np.full((1 << num, fronts, ends), -1.0)
        choice = np.full(slack.shape, -1, np.int32)
        slack[0, 0, -1] = start
        for first in range(1, 1 << num, CHUNK):
            self.search.tick()
            extend_slack(first, min(first + CHUNK, 1 << num), allowed, cap, own, pay, slack, choice)
        mask, front = (int(x) for x in np.unravel_index(slack[:, :, 0].argmax(), slack.shape[:2]))
        if slack[mask, front, 0] < 0:
            return None
        stages: Stages = []
        h = 0
        while mask:
            rest, i = divmod(int(choice[mask, front, h]), ends)
            v, front = divmod(rest, fronts)
            stages.append((self.tables.devices[v], h, i))
            mask, h = mask ^ (1 << v), i
        return stages

    def _labels(self, limit: float) -> Stages | None:
        """Return stages with no lane above a limit, for unequal links."""
        tables = self.tables
        num, ends, media = len(tables.devices), tables.num_blocks + 1, len(tables.media)
        allowed = self.fits & (tables.compute_s <= limit)[:, None]
        heads = np.full((1 << num) * num * ends, -1, np.int32)
        heads[ends - 1] = 0
        size, count = 1 << 16, 1
        following, origin, state = (np.full(size, -1, np.int32) for _ in range(3))
        pending, loads = np.zeros(size), np.zeros((size, media))
        for mask in range(1, 1 << num):
            if mask % 64 == 0:
                self.search.tick()
            while True:
                made = extend_labels(
                    mask, limit, tables.problem.settings.overlap, allowed, tables.compute_s,
                    tables.message_s, tables.gradients, tables.media, heads, following, origin, state,
                    pending, loads, count,
                )  # fmt: skip
                if made >= 0:
                    break
                heads[mask * num * ends : (mask + 1) * num * ends] = -1
                following, origin, state = (
                    np.append(a, np.full(size, -1, np.int32)) for a in (following, origin, state)
                )
                pending, loads = (
                    np.append(pending, np.zeros(size)),
                    np.append(loads, np.zeros((size, media)), axis=0),
                )
                size *= 2
            count = int(made)
            firsts = heads[mask * num * ends : (mask + 1) * num * ends : ends]
            if firsts.max() >= 0:
                return self._unwind(int(firsts.max()), origin, state)
        return None

    def _unwind(self, label: int, origin: Ints, state: Ints) -> Stages:
        num, ends = len(self.tables.devices), self.tables.num_blocks + 1
        stages: Stages = []
        while label > 0:
            rest, h = divmod(int(state[label]), ends)
            before = int(origin[label])
            end = int(state[before]) % ends if before > 0 else ends - 1
            stages.append((self.tables.devices[rest % num], h, end))
            label = before
        return stages
