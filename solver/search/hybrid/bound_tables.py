"""Bounds of hybrid pipelines: what stages of groups need at least, before any cut-off is known.

A stage of a group is bounded by the *mean over the samples of a micro-batch*: sample x takes its own way
through the stages, over the devices and messages that carry it, in the same order as every other. A step
takes at least as long as a pipeline of single devices with the durations of that way. The time of such a
pipeline is a maximum of sums of durations, so it is convex, and the mean over all samples of the times of
their ways is at least the time at the mean of their durations. In that mean a group whose devices d take
T_d(n_d) for n_d of N samples takes sum(n_d T_d(n_d)) / N, and a message of b bytes a sample at rate r from
a group that shares by n to one that shares by m takes at least b N / (2 r) * (sum((n_d / N) ** 2) +
sum((m_d / N) ** 2)) and one latency: what the sender sends before the sample, and what the receiver
receives after it, is on the way too. Each is then replaced by its least value over all shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solver.batch_tables import Tables, make_tables
from solver.collective import Hop, ring_order
from solver.lowering.context import Context
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.chains.chain import Bools
from solver.search.chains.peaks import Rule, peak_terms
from solver.search.hybrid.exhaustive import barred_before, usable_numbers
from solver.search.hybrid.limits import HybridLimits

LARGE = 1 << 40


@dataclass(frozen=True)
class HybridTables:
    """Stages of groups of a chain, for one number of micro-batches.

    Parameters
    ----------
    problem
        What is decided; its plans can be scored in batches.
    num_micro_batches
        Micro-batches of a step.

    Notes
    -----
    D usable devices, L blocks, N samples of a micro-batch. A group is a bit mask of usable devices; a stage
    [h, e) holds blocks h to e - 1; boundary i lies before block i; depth counts stages to the last.
    """

    problem: Problem
    num_micro_batches: int

    @property
    def num_blocks(self) -> int:
        """L."""
        return len(self.problem.workload.order)

    @property
    def samples(self) -> int:
        """N."""
        return self.problem.job.batch // self.num_micro_batches

    @cached_property
    def numbers(self) -> list[int]:
        """(D,): numbers of the usable devices in the cluster."""
        return usable_numbers(self.problem)

    @property
    def max_depth(self) -> int:
        """Most stages of a plan."""
        return min(len(self.numbers), self.num_blocks)

    @cached_property
    def _tables(self) -> Tables:
        stage = Stage(blocks=self.problem.workload.order, shares={self.problem.usable[0]: self.samples})
        whole = pipeline_plan(self.problem, [stage], self.num_micro_batches)
        context = Context(whole, self.problem.workload, self.problem.cluster, self.problem.settings)
        return make_tables(context, self.samples)

    @cached_property
    def times_s(self) -> Floats:
        """(2, D, N + 1, L + 1): forward and backward seconds of all blocks before a block."""
        found: Floats = np.ascontiguousarray(self._tables.times_s[:, self.numbers])
        return found

    @cached_property
    def has_backward(self) -> Bools:
        """(L + 1,): whether a stage that ends at a boundary has a backward pass."""
        return np.asarray(self._tables.has_backward, bool)

    @cached_property
    def sample_bytes(self) -> Floats:
        """(L + 1,): bytes per sample over a boundary, at least, however samples are parted."""
        sizes = self._tables.message_bytes[:, 1:]
        least: Floats = (sizes / np.arange(1, self.samples + 1)).min(axis=1)
        return least

    @cached_property
    def way_back(self) -> Floats:
        """(L + 1,): 1 where a gradient crosses the boundary, else 0."""
        found = self.has_backward.astype(float)
        found[-1] = 0.0
        return found

    @property
    def pair_links(self) -> NDArray[Any]:
        """(D, D) of :data:`solver.batch_tables.LINK`: from one usable device to another."""
        found: NDArray[Any] = self._tables.links[np.ix_(self.numbers, self.numbers)]
        return found

    @property
    def usable_boards(self) -> NDArray[Any]:
        """(D,) of :data:`solver.batch_tables.BOARD`."""
        found: NDArray[Any] = self._tables.boards[self.numbers]
        return found

    @cached_property
    def links(self) -> tuple[Floats, Floats, Longs]:
        """(2 ** D, 2 ** D) each: best rate and latency from a group to another, and media that all pass."""
        num = len(self.numbers)
        found = self.pair_links
        rates = np.where(np.eye(num, dtype=bool), -1.0, found["bytes_per_s"])
        latencies = np.where(np.eye(num, dtype=bool), np.inf, found["latency_s"])
        media = np.full((num, num), -1, np.int64)
        number = {lane: x for x, lane in enumerate(self._media_lanes(found))}
        for u in range(num):
            for v in range(num):
                if u != v:
                    lanes = self._tables.lanes[found[u, v]["media"] : found[u, v]["end_of_lanes"]]
                    media[u, v] = sum(1 << number[lane] for lane in lanes.tolist())
        return (
            _over_groups(rates, np.maximum, -1.0),
            _over_groups(latencies, np.minimum, np.inf),
            _over_groups(media, np.bitwise_and, -1),
        )

    @cached_property
    def num_media(self) -> int:
        """Shared media."""
        return len(self._media_lanes(self.pair_links))

    def _media_lanes(self, links: NDArray[Any]) -> list[int]:
        num = len(links)
        seen = [
            lane
            for u in range(num)
            for v in range(num)
            if u != v
            for lane in self._tables.lanes[links[u, v]["media"] : links[u, v]["end_of_lanes"]].tolist()
        ]
        return list(dict.fromkeys(seen))[:60]

    @cached_property
    def trained_bytes(self) -> Longs:
        """(L + 1, L + 1): trained weights of a stage."""
        return self._stage_sums(self._tables.sums_bytes[2])

    @cached_property
    def static_bytes(self) -> Longs:
        """(L + 1, L + 1): weights, gradients and optimizer states of a stage."""
        return self._stage_sums(self._tables.sums_bytes[1])

    def _stage_sums(self, before: Longs) -> Longs:
        n = self.num_blocks + 1
        proper = np.arange(n)[:, None] < np.arange(n)[None, :]
        sums: Longs = np.where(proper, before[None, :] - before[:, None], 0)
        return sums

    @cached_property
    def limit_bytes(self) -> Longs:
        """(D,): memory."""
        return np.asarray(self._tables.boards["limit_bytes"][self.numbers], np.int64)

    @cached_property
    def finish_s(self) -> Floats:
        """(2 ** D, L + 1, L + 1): reduction and update of a stage, from when its group is ready for it."""
        num = len(self.numbers)
        found = np.zeros((1 << num, self.num_blocks + 1, self.num_blocks + 1))
        trained = self.trained_bytes
        if not self.problem.settings.sync:
            return found
        boards = self.usable_boards
        updates = [board["overhead_s"] + board["update_s_per_byte"] * trained for board in boards]
        for group in range(1, 1 << num):
            members = [d for d in range(num) if group >> d & 1]
            seconds = np.max([updates[d] for d in members], axis=0)
            if len(members) > 1:
                seconds = seconds + self._ring_s(members, trained)
            found[group] = np.where(trained > 0, seconds, 0.0)
        return found

    def _ring_s(self, members: list[int], trained: Longs) -> Floats:
        """Return the seconds of an all-reduce of a group, as the batch walk counts them."""
        cluster, names = self.problem.cluster, self.problem.usable

        def hop(a: str, b: str) -> Hop:
            link = cluster.link(a, b)
            return Hop(link.bytes_per_s, link.latency_s, tuple(link.media))

        ring = ring_order([names[d] for d in members], hop)
        chunk = trained / len(ring)
        slowest = np.zeros_like(chunk)
        shared: dict[str, Floats] = {}
        for i, name in enumerate(ring):
            link = hop(name, ring[(i + 1) % len(ring)])
            seconds = link.latency_s + chunk / link.bytes_per_s
            slowest = np.maximum(slowest, seconds)
            for medium in link.media:
                shared[medium] = shared.get(medium, 0.0) + seconds
        found: Floats = 2 * (len(ring) - 1) * np.max([slowest, *shared.values()], axis=0)
        return found

    @cached_property
    def most_samples(self) -> Longs:
        """(max_depth, D, L + 1, L + 1): samples with which a stage fits and keeps limits, by depth - 1."""
        need = np.array([self.peak_bytes(depth) for depth in range(1, self.max_depth + 1)])
        room = self.limit_bytes[:, None, None] - self.static_bytes[None]
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.floor(room[None] / need[:, None] * (1 + 1e-12))
        most = np.where(need[:, None] <= 0, np.where(room[None] >= 0, self.samples, 0), most)
        barred = barred_before(self.problem)[self.numbers]
        kept_out = barred[:, None, :] - barred[:, :, None] > 0
        most = np.where(kept_out[None], 0, np.clip(most, 0, self.samples))
        return self.limits.within(most.astype(np.int64), self.times_s)

    @cached_property
    def limits(self) -> HybridLimits:
        """What deadlines, batteries and budgets say of stages and pipelines."""
        return HybridLimits(self.problem, self.num_micro_batches)

    @cached_property
    def most_caps(self) -> Longs:
        """(2 ** D, L + 1, L + 1): most micro-batches a stage may have in flight, at least 1, by memory alone.

        A stage with a cap holds as many micro-batches before its first backward pass.
        """
        num, samples, count = len(self.numbers), self.samples, self.num_micro_batches
        found = np.ones((1 << num, self.num_blocks + 1, self.num_blocks + 1), np.int64)
        kept = self._stage_sums(self._tables.sums_bytes[0]).astype(float)
        output = np.where(np.arange(self.num_blocks + 1) < self.num_blocks, self.sample_bytes, 0.0)
        held = kept + output[None, :]
        room = np.maximum(0, self.limit_bytes[:, None, None] - self.static_bytes[None])
        for cap in range(2, count + 1):
            with np.errstate(divide="ignore", invalid="ignore"):
                taken = np.floor(room / (cap * held) * (1 + 1e-12))
            taken = np.where(held[None] <= 0, samples, np.clip(taken, 0, samples))
            alone = np.where(taken >= 1, taken, -samples * num)
            together = np.zeros(found.shape)
            for group in range(1, 1 << num):
                low = (group & -group).bit_length() - 1
                together[group] = together[group & (group - 1)] + alone[low]
            found[together >= samples] = cap
        return np.where(self.has_backward[None, None, :], found, count)

    def peak_bytes(self, depth: int) -> Floats:
        """Return (L + 1, L + 1): bytes a stage needs for each sample at its peak, at least.

        Parameters
        ----------
        depth
            Stages from it to the last, itself included.
        """
        kept = self._stage_sums(self._tables.sums_bytes[0]).astype(float)
        sent = self.sample_bytes.copy()
        sent[0] = sent[-1] = 0.0
        received, output = sent[:, None], sent[None, :]
        back_in, back_out = (sent * self.way_back)[None, :], (sent * self.way_back)[:, None]
        fleeting = np.maximum(received - kept, 0)
        peak = np.zeros_like(kept)
        starts_trained = self.way_back > 0
        starts_trained[0] = True
        for ends in set(self.has_backward[1:].tolist()):
            for starts in set(starts_trained.tolist()) if ends else (False,):
                first = kept + output if ends else output + 0 * kept
                parts = np.broadcast_arrays(first, received, back_in, back_out, fleeting)
                terms = self._terms(depth, ends, starts)
                value = np.max([sum(c * p for c, p in zip(row, parts, strict=True)) for row in terms], axis=0)
                chosen = (self.has_backward == ends)[None, :] & (
                    np.ones((len(sent), 1), bool) if not ends else (starts_trained == starts)[:, None]
                )
                peak = np.where(chosen, value, peak)
        return peak

    def _terms(self, depth: int, ends_trained: bool, starts_trained: bool) -> Longs:
        problem = self.problem
        if problem.in_flight == "free" and problem.schedule != "gpipe":
            # Whatever the cap, one micro-batch is held.
            return np.array([[1 if ends_trained else 0, 0, 0, 0, 0]], np.int64)
        rule = Rule(self.num_micro_batches, problem.schedule, problem.settings.prefetch)
        return peak_terms(rule, depth, ends_trained, starts_trained)


def _over_groups(pairs: np.ndarray, best: np.ufunc, worst: float) -> np.ndarray:
    """Return (2 ** D, 2 ** D): the best value of pairs from a group to another one."""
    num = len(pairs)
    to_groups = np.full((num, 1 << num), worst, pairs.dtype)
    for group in range(1, 1 << num):
        low = (group & -group).bit_length() - 1
        to_groups[:, group] = best(to_groups[:, group & (group - 1)], pairs[:, low])
    found = np.full((1 << num, 1 << num), worst, pairs.dtype)
    for group in range(1, 1 << num):
        low = (group & -group).bit_length() - 1
        found[group] = best(found[group & (group - 1)], to_groups[low])
    return found
