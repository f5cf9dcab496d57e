"""Chain tables: what every stage of one device costs and needs, exactly as the evaluator counts it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from solver.errors import DeclinedError
from solver.layout import Box
from solver.lowering.context import Context
from solver.lowering.messages import carried_part
from solver.lowering.segments import box_bytes, expert_part
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.chains.peaks import Rule, peak_terms

Bools = NDArray[np.bool_]
ROUNDING = 1e-13
"""Relative difference of two times that is rounding: latencies added up from either end of a path."""
Interval = tuple[str, int, int]
"""A stage: device, first block, and the block after the last."""


def decline_unless_chain(problem: Problem) -> None:
    """Raise unless a plan of the problem is a chain of stages that these tables describe.

    Parameters
    ----------
    problem
        What is decided.

    Raises
    ------
    DeclinedError
        With the reason and what to use instead.
    """
    workload, owners = problem.workload, {n for d in problem.cluster.devices for n in d.data}
    if problem.job.kind != "train":
        raise DeclinedError("this solver plans training; for serving use single or pipeline_even")
    if not workload.is_chain:
        raise DeclinedError(f"{workload.name} is a DAG, not a chain of blocks; use best or pipeline_even")
    for block in workload.blocks:
        data = block.data
        if data is not None and data.may_leave and data.bytes_per_sample and data.name in owners:
            message = f"block {block.name} may be sent raw {data.name}, which these tables do not hold"
            raise DeclinedError(f"{message}; use best or pipeline_even")


@dataclass(frozen=True)
class ChainTables:
    """Stages of one device each of a chain, for one number of micro-batches.

    Parameters
    ----------
    problem
        What is decided; a chain that is trained.
    num_micro_batches
        Micro-batches of a step.

    Notes
    -----
    D devices, L blocks; a stage [h, i) holds the blocks from h to i - 1; boundary i lies before block i.
    Message sizes and times do not depend on the stages, peaks of memory depend on the depth too: the number
    of stages to the last, itself included.
    """

    problem: Problem
    num_micro_batches: int

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Names of the D devices that can compute in the job's precision."""
        return self.problem.usable

    @property
    def num_blocks(self) -> int:
        """L."""
        return len(self.problem.workload.order)

    @property
    def samples(self) -> int:
        """Samples of a micro-batch."""
        return self.problem.job.batch // self.num_micro_batches

    @property
    def max_depth(self) -> int:
        """Most stages a plan can have."""
        return min(len(self.devices), self.num_blocks)

    def plan(self, stages: list[Interval]) -> Plan:
        """Return the plan of a list of stages."""
        order = self.problem.workload.order
        listed = [Stage(blocks=order[h:i], shares={name: self.samples}) for name, h, i in stages]
        return pipeline_plan(self.problem, listed, self.num_micro_batches)

    @cached_property
    def _context(self) -> Context:
        whole = self.plan([(self.devices[0], 0, self.num_blocks)])
        return Context(whole, self.problem.workload, self.problem.cluster, self.problem.settings)

    @cached_property
    def gradients(self) -> Bools:
        """(L + 1,): whether a gradient crosses boundary i, back to block i - 1."""
        costs, order = self.problem.costs, self.problem.workload.order
        inner = [costs.has_backward(name) for name in order]
        return np.array([False, *inner[:-1], False])

    @cached_property
    def has_backward(self) -> Bools:
        """(L + 1,): whether a stage that ends at boundary i has a backward pass; never shrinks in i."""
        inner = [self.problem.costs.has_backward(name) for name in self.problem.workload.order]
        return np.array([False, *inner])

    @cached_property
    def boundary_bytes(self) -> tuple[Longs, Longs]:
        """(L + 1,) each: bytes of a message over boundary i, and of the output before it; 0 at the ends."""
        sent, whole = np.zeros((2, self.num_blocks + 1), np.int64)
        order = self.problem.workload.order
        for i, name in enumerate(order[:-1], 1):
            block = self.problem.workload.by_name[name]
            box = Box((0, self.samples), (0, block.tokens), (0, block.columns))
            sent[i] = box_bytes(self._context, block, box, carried_part(self._context, name, [order[i]]))
            whole[i] = box_bytes(self._context, block, box, expert_part(self._context, block))
        return sent, whole

    @cached_property
    def _block_s(self) -> tuple[Floats, Floats]:
        """(D, L) each: forward and backward seconds of a block for a micro-batch, overhead included."""
        problem = self.problem
        forward, backward = np.zeros((2, len(self.devices), self.num_blocks))
        for v, device in enumerate(self.devices):
            board = problem.cluster.by_name[device]
            for k, name in enumerate(problem.workload.order):
                part = expert_part(self._context, problem.workload.by_name[name])
                times = problem.costs.time_s(name, board, self.samples, part)
                forward[v, k] = times[0] + board.overhead_s.value
                if problem.costs.has_backward(name):
                    backward[v, k] = times[1] + board.overhead_s.value
        return forward, backward

    @cached_property
    def forward_s(self) -> Floats:
        """(D, L + 1, L + 1): forward seconds of stage [h, i) on a device; infinite unless h < i."""
        return self._interval_sums(self._block_s[0])

    @cached_property
    def compute_s(self) -> Floats:
        """(D, L + 1, L + 1): forward and backward seconds of stage [h, i); infinite unless h < i."""
        return self._interval_sums(self._block_s[0] + self._block_s[1])

    def _interval_sums(self, values: Floats) -> Floats:
        zero = np.zeros((*values.shape[:-1], 1))
        before = np.concatenate([zero, values.cumsum(-1)], axis=-1)
        sums: Floats = np.where(self._proper, before[..., None, :] - before[..., :, None], np.inf)
        return sums

    @cached_property
    def _proper(self) -> Bools:
        n = self.num_blocks + 1
        proper: Bools = np.arange(n)[:, None] < np.arange(n)[None, :]
        return proper

    @cached_property
    def update_s(self) -> Floats:
        """(D, L + 1, L + 1): seconds of the weight update of stage [h, i); 0 where nothing is trained."""
        if not self.problem.settings.sync:
            return np.zeros_like(self.compute_s)
        found = []
        trained = self._trained_bytes
        for device in self.devices:
            board = self.problem.cluster.by_name[device]
            scale = self.problem.costs.update_s(board, 10**12) / 1e12
            found.append(np.where(trained > 0, board.overhead_s.value + scale * trained, 0.0))
        return np.array(found)

    @cached_property
    def message_s(self) -> Floats:
        """(D, D, L + 1): seconds of a message from one device to another over boundary i; 0 at the ends."""
        sent = self.boundary_bytes[0]
        found = np.zeros((len(self.devices), len(self.devices), self.num_blocks + 1))
        for u, source in enumerate(self.devices):
            for v, target in enumerate(self.devices):
                if u != v:
                    link = self.problem.cluster.link(source, target)
                    found[u, v, 1:-1] = link.latency_s + sent[1:-1] / link.bytes_per_s
        return found

    @cached_property
    def media(self) -> Bools:
        """(K, D, D): whether what goes from one device to another passes shared medium k."""
        names = [segment.name for segment in self.problem.cluster.segments if segment.kind == "shared"]
        link = self.problem.cluster.link
        found = [
            [[u != v and name in link(u, v).media for v in self.devices] for u in self.devices]
            for name in names
        ]
        shape = (len(names), len(self.devices), len(self.devices))
        passed = np.array(found, bool).reshape(shape)
        kept: Bools = passed[passed.any((1, 2))]
        return kept

    @cached_property
    def is_uniform(self) -> bool:
        """Whether all links are alike, so that it does not matter which device stands where."""
        off = ~np.eye(len(self.devices), dtype=bool)
        if not off.any():
            return True
        times = self.message_s[off]
        passed = self.media[:, off]
        spread = np.ptp(times, axis=0).max()
        return bool(spread <= ROUNDING * times.max() and (passed == passed[:, :1]).all())

    @property
    def is_symmetric(self) -> bool:
        """Whether a message takes as long one way as the other."""
        return bool(np.allclose(self.message_s, self.message_s.transpose(1, 0, 2), rtol=ROUNDING, atol=0))

    def _stage_sums(self, values: list[int]) -> Longs:
        before = np.concatenate([[0], np.cumsum(np.array(values, np.int64))])
        sums: Longs = np.where(self._proper, before[None, :] - before[:, None], 0)
        return sums

    @cached_property
    def _trained_bytes(self) -> Longs:
        costs = self.problem.costs
        return self._stage_sums([costs.block(name).trained_bytes for name in self.problem.workload.order])

    @cached_property
    def need_bytes(self) -> Longs:
        """(max_depth + 1, L + 1, L + 1): peak memory of stage [h, i) by depth, bytes; depth 0 is not used."""
        problem, order = self.problem, self.problem.workload.order
        costs = [problem.costs.block(name) for name in order]
        parts = [expert_part(self._context, problem.workload.by_name[name]) for name in order]
        kept = [round(float(c.kept_bytes) * p * self.samples) for c, p in zip(costs, parts, strict=True)]
        states = [problem.costs.state_bytes(c.trained_bytes) for c in costs]
        static = self._stage_sums([c.weight_bytes for c in costs]) + self._trained_bytes
        static = static + self._stage_sums(states)
        need = np.zeros((self.max_depth + 1, *static.shape), np.int64)
        for depth in range(1, self.max_depth + 1):
            need[depth] = static + self._peak(depth, self._stage_sums(kept))
        return need

    def _peak(self, depth: int, kept: Longs) -> Longs:
        """Return the largest activations and buffers of every stage at one depth, bytes."""
        sent, whole = self.boundary_bytes
        received, output = sent[:, None], whole[None, :]
        gradient_in = np.where(self.gradients, sent, 0)[None, :]
        gradient_out = np.where(self.gradients, sent, 0)[:, None]
        fleeting = np.maximum(received - kept, 0)
        rule = self._rule
        peak = np.zeros_like(kept)
        for ends_trained in set(self.has_backward[1:].tolist()):
            for starts_trained in {True, *self.gradients[1:-1].tolist()} if ends_trained else (False,):
                terms = peak_terms(rule, depth, ends_trained, starts_trained)
                first = kept + output if ends_trained else output + 0 * kept
                parts = np.broadcast_arrays(first, received, gradient_in, gradient_out, fleeting)
                value = np.max([sum(c * p for c, p in zip(row, parts, strict=True)) for row in terms], axis=0)
                begins = self.gradients == starts_trained
                begins[0] = True
                chosen = begins[:, None] & (self.has_backward == ends_trained)[None, :]
                peak = np.where(chosen, value, peak)
        return peak

    @property
    def _rule(self) -> Rule:
        settings = self.problem.settings
        return Rule(self.num_micro_batches, self.problem.schedule, settings.prefetch)

    @cached_property
    def limit_bytes(self) -> Longs:
        """(D,): memory of each device, bytes."""
        by_name = self.problem.cluster.by_name
        return np.array([int(by_name[name].memory_bytes.value) for name in self.devices], np.int64)

    @cached_property
    def allowed(self) -> Bools:
        """(D, L + 1, L + 1): whether a device owns all data that stage [h, i) reads and may not leave."""
        workload, cluster = self.problem.workload, self.problem.cluster
        barred = np.zeros((len(self.devices), self.num_blocks), np.int64)
        for k, name in enumerate(workload.order):
            data = workload.by_name[name].data
            owners = [d.name for d in cluster.devices if data is not None and data.name in d.data]
            if data is not None and not data.may_leave and owners:
                barred[:, k] = [device not in owners for device in self.devices]
        free = np.array([self._stage_sums(row.tolist()) == 0 for row in barred])
        found: Bools = free & self._proper
        return found

    @cached_property
    def fits(self) -> Bools:
        """(D, max_depth + 1, L + 1, L + 1): whether a device may hold stage [h, i) at a depth."""
        within = self.need_bytes[None] <= self.limit_bytes[:, None, None, None]
        found: Bools = within & self.allowed[:, None]
        found[:, 0] = False
        return found

    @cached_property
    def lane_s(self) -> Floats:
        """(D, L + 1, L + 1): busiest lane of stage [h, i) per micro-batch, where links are alike, seconds."""
        if len(self.devices) == 1:
            return self.compute_s
        message = self.message_s[0, 1]
        back = np.where(self.gradients, message, 0.0)
        send = message[None, :] + back[:, None]
        receive = message[:, None] + back[None, :]
        lanes: Floats = np.maximum(self.compute_s, np.maximum(send, receive)[None])
        if not self.problem.settings.overlap:
            lanes = self.compute_s + (send + receive)[None]
        return lanes

    @property
    def work_s(self) -> float:
        """Seconds that no bottleneck is below: all work on all devices at once."""
        whole = self.compute_s[:, 0, -1]
        return 0.0 if (whole <= 0).any() else float(1 / (1 / whole).sum()) * (1 - 1e-12)
