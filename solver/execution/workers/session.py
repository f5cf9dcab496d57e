"""Session: one worker's part of a run, from building its blocks to its report."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from solver.errors import RunError
from solver.execution import dilation
from solver.execution.clock import now_ns, sharpen, sleep_until
from solver.execution.history import History, Span, StepRecord
from solver.execution.interpreter import Interpreter
from solver.execution.machine import host, mend_gloo_threads
from solver.execution.network.links import Links, PaddedLinks
from solver.execution.network.transport import Transport
from solver.execution.network.turns import turns
from solver.execution.order import Channel, Order
from solver.execution.passes.replica import Replica
from solver.execution.passes.rounds import Rounds
from solver.execution.passes.shapes import output_shapes
from solver.execution.passes.tuning import Tuning
from solver.execution.passes.worklist import Worklist, members
from solver.execution.reference import Weights, relative_difference, undivided
from solver.execution.rounds_reference import local_rounds
from solver.execution.state.copies import Copies
from solver.execution.state.frozen import share_frozen
from solver.execution.state.gather import Gatherer
from solver.execution.state.keeper import Keeper, about
from solver.execution.state.remains import leave
from solver.lowering import lower
from solver.lowering.renewals import is_due
from solver.program import Kind, Row
from solver.simulate import simulate

_REHEARSALS = 4
_TRIALS, _TRIAL_STEPS = 3, 2
"""So often so many padded steps look whether the clock is slow enough."""
_METERED = 2
"""So many steps of a raw run count what autograd keeps, which is the same in every step."""
_LEAD_NS = 5_000_000
"""Between agreeing on the start of a step and the start."""


Connect = Callable[[Sequence[str], str, float], Transport]
"""Makes the messages of a worker from the members, its own name, and the longest wait in seconds."""


class Session:
    """One worker's part of a run; the connections of all members must be up.

    Parameters
    ----------
    order
        What is run.
    process_rank
        Place of this worker among the devices that take part.
    channel
        Where it tells what it does.
    connect
        Makes its messages.
    first_step
        Number of the first step it does; ``None``: the order's.

    Attributes
    ----------
    passed
        Steps that all members are known to have done, this one's update included.
    stopped
        Whether the run was ended before its last step, with a checkpoint.
    leave
        Set it, at one member at least, and all members leave after the step in work.
    before_step
        Called with the number of every step before it begins.
    after_step
        Called with the number and the record of every step of the training when it is done.
    renews_first
        Whether the first step renews all copies, due or not: those before it are of another plan.
    trains
        Whether it trains already, or still finds its clock.
    copies
        What this worker keeps for others.
    pause
        Sleeps until a moment.
    """

    def __init__(
        self,
        order: Order,
        process_rank: int,
        channel: Channel,
        connect: Connect,
        first_step: int | None = None,
    ) -> None:
        self.order, self.channel, self.process_rank = order, channel, process_rank
        self.connect = connect
        self.first_step = order.first_step if first_step is None else first_step
        self.passed = self.first_step
        self.leave, self.stopped = threading.Event(), False
        self.before_step: Callable[[int], None] = _nothing
        self.after_step: Callable[[int, StepRecord], None] = _nothing
        self.renews_first = self.trains = False
        self.copies = Copies()
        self.pause: Callable[[int], None] = sleep_until
        self.plan, self.workload, self.cluster = order.documents()
        self.program = lower(self.plan, self.workload, self.cluster)
        self.step_s = simulate(self.program).makespan_s
        self.members = members(self.program)
        self.device = self.members[process_rank]
        self.worklist = Worklist(self.device, self.program, self.plan, self.workload, self.cluster)
        self.shapes = output_shapes(self.workload)
        self.history = History(self.program)
        self.dilation = order.dilation if order.mode == "padded" else None
        self.replica = self._replica()
        self.sent_bytes: dict[str, int] = {}
        self.weights: Weights = {}
        self.checkpoints: list[dict[str, Any]] = []
        self._keeper = Keeper(order, self.plan, self.workload)
        self._step = -1
        self._walk: tuple[Interpreter, Links] | None = None

    def _replica(self) -> Replica:
        tuning = Tuning.of(self.plan, self.workload, self.device)
        return Replica(tuning, self.worklist.held, self.order.seed, self.order.learning_rate)

    def run(self) -> dict[str, Any]:
        """Do all steps and bring the trained weights to the first worker; return this worker's report."""
        sharpen()
        torch.set_num_threads(1)
        mend_gloo_threads()
        self._agree_on_clock()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            if self.order.mode == "padded" and self.dilation is None:
                self._rehearse()
            self._train()
        finally:
            gc.enable()
            gc.unfreeze()
        compares = self.order.reference and not self.stopped
        self.weights = self._gather_weights() if compares else {}
        self._all_gather(torch.zeros(1))
        return self.report()

    def report(self) -> dict[str, Any]:
        """Return what this worker did so far, as plain data."""
        return {
            "device": self.device,
            "dilation": self.dilation,
            "static_bytes": self.replica.static_bytes() + self.copies.num_bytes,
            "sent_bytes": self.sent_bytes,
            "checkpoints": self.checkpoints,
            "stopped": self.stopped,
            **self.history.to_json(self.dilation or 1.0),
        }

    def save(self) -> None:
        """Write what this worker holds, after a failure, when nobody else can be asked.

        Notes
        -----
        Not within a round: the copies of a block differ then, and none of them is the run's.
        """
        if self.order.checkpoint is not None and self.program.num_steps == 1:
            updates = self.replica.num_updates
            losses = list(self.history.losses[:updates])
            said = about(self.order, self.plan, self.workload, self.first_step + updates, losses)
            leave(Path(self.order.checkpoint), self.device, self.replica, said)

    def _agree_on_clock(self) -> None:
        """Find out whether all workers share a clock; padded runs need that."""
        own = torch.tensor([host()], dtype=torch.int64)
        self.base_ns = now_ns()
        self.one_host = all(int(name.item()) == host() for name in self._all_gather(own))
        if self.one_host:
            self.base_ns = int(self._all_gather(torch.tensor([self.base_ns]))[0].item())
        elif self.order.mode == "padded":
            raise RunError("padded mode needs all workers on one host, whose clock they share; use raw mode")

    def _all_gather(self, own: Tensor) -> list[Tensor]:
        return self._transport().all_gather(own)

    def _transport(self) -> Transport:
        return self.connect(self.members, self.device, self._limit_s())

    def _limit_s(self) -> float:
        return self.order.limit_s + 3 * self.step_s * (self.dilation or 1.0)

    def _steps(self, steps: range, links: Links, done: Callable[[StepRecord], bool]) -> None:
        """Do some steps from a common start, until one of them was the last."""
        dataset = self.replica.net.dataset
        assert dataset is not None
        every = self.program.num_steps
        num_samples = self.program.num_samples // every
        interpreter = Interpreter(self.worklist, self.replica, self.shapes, self._beat, self._rounds())
        interpreter.pause, interpreter.renews = self.pause, self._renews
        padded = self.dilation if isinstance(links, PaddedLinks) else None
        self._walk = interpreter, links
        try:
            for step in steps:
                self._step = step
                seed, dtype = self.order.seed, self.replica.dtype
                batches = [dataset.batch(k, num_samples, seed, dtype) for k in range(step, step + every)]
                interpreter.prepare(batches, metered=self._is_metered(step - steps.start))
                self.before_step(step)
                gc.collect()
                # Raw steps but the first: the exchange of losses made all wait.
                together = padded is not None or step == steps.start
                start_ns = self._start_together() if together else now_ns()
                record = interpreter.step(links, padded, start_ns)
                for stage, content in interpreter.backups.items():
                    self.copies.keep(stage, step + 1, content)
                if done(record):
                    return
        finally:
            links.close()

    def _renews(self, row: Row) -> bool:
        """Return whether a backup is due in the step in work; in a rehearsal all are."""
        on = row.peer if row.kind == Kind.SEND else row.device
        stage = row.pipeline, row.stage
        every = next(one.every for one in self.plan.backup if one.stage == stage and one.on == on)
        first = self.renews_first and self._step == self.first_step
        return not self.trains or first or is_due(every, self._step)

    def in_work(self) -> tuple[int, int, dict[int, Span]]:
        """Return the number of the step in work, or the latest, when it began, and what is done of it.

        Notes
        -----
        Before the first step there is nothing to tell, and between two steps neither.
        """
        interpreter, links = self._walk or (None, None)
        if not self.trains or links is None or interpreter is None or interpreter.record is None:
            return self._step, 0, {}
        record = interpreter.record
        return self._step, record.start_ns, dict(links.spans) | record.spans

    def _is_metered(self, done: int) -> bool:
        """Return whether a step counts all its memory: raw, only the first ones, unless steps differ."""
        return self.dilation is not None or done < _METERED or bool(self.plan.backup)

    def _rounds(self) -> Rounds | None:
        """Return this worker's part in rounds, if there are any."""
        if self.program.num_steps == 1:
            return None
        return Rounds(self.plan, self.workload, self.program, self.device, self.replica, self.order.seed)

    def _beat(self, index: int) -> None:
        self.channel.beat(self._step, index)

    def _start_together(self) -> int:
        """Wait for all workers; on one host, then start at one moment. Return the moment of the start."""
        stamps = self._all_gather(torch.tensor([now_ns()]))
        if not self.one_host or len(self.members) == 1:
            return now_ns()
        moment = int(max(stamp.item() for stamp in stamps)) + _LEAD_NS
        sleep_until(moment)
        return moment

    def _rehearse(self) -> None:
        """Find the dilation: some raw steps, some padded ones as often as they ask for a slower clock.

        Notes
        -----
        Raw steps tell what the computations take while all workers are busy; padded ones what exchanges and
        messages take too, which are none of a raw worker's business. Then everything is built anew.
        """
        found = self._rehearsed(Links(self._transport(), self._limit_s()))
        self.dilation = dilation.choose(self.program, self.step_s, found)
        for _ in range(_TRIALS):
            found = self._rehearsed(self._padded_links())
            if found <= self.dilation:
                break
            self.dilation = dilation.slower(self.dilation, found, self.step_s)
        self.replica = self._replica()
        self.copies.clear()

    def _rehearsed(self, links: Links) -> float:
        """Return the dilation that some steps ask for; of raw ones, the first does not count."""
        raw = not isinstance(links, PaddedLinks)
        every, count = self.program.num_steps, _REHEARSALS if raw else _TRIAL_STEPS
        records: list[StepRecord] = []

        def keep(record: StepRecord) -> bool:
            records.append(record)
            return False

        self._steps(range(0, max(2, count // every) * every, every), links, keep)
        counted = records[1:] if raw else records
        taken = [{i: ns * 1e-9 for i, ns in record.taken_ns.items()} for record in counted]
        own = torch.tensor([dilation.needed(self.program, taken)], dtype=torch.float64)
        return max(float(found.item()) for found in self._all_gather(own))

    def _padded_links(self) -> PaddedLinks:
        assert self.dilation is not None
        given = turns(self.program), self.dilation, self.worklist.queued
        return PaddedLinks(self._transport(), self._limit_s(), *given)

    def _train(self) -> None:
        padded = self.dilation is not None
        links = self._padded_links() if padded else Links(self._transport(), self._limit_s())
        self.sent_bytes = links.transport.sent_bytes
        gatherer = self._gatherer()
        self._keeper.restore(gatherer)
        share_frozen(self.worklist.context, self.replica, self.copies, self._transport())
        every = self.program.num_steps
        self.trains = True

        def done(record: StepRecord) -> bool:
            self.after_step(self._step, record)
            is_last = self._log(record)
            count = self._step + every
            if self._keeper.is_due(count, every, is_last=count == self.order.steps, stopped=self.stopped):
                self._keep(gatherer, count)
            return is_last

        self._steps(range(self.first_step, self.order.steps, every), links, done)

    def _keep(self, gatherer: Gatherer, count: int) -> None:
        event = self._keeper.save(gatherer, count, list(self.history.losses), partial(self._beat, -1))
        if event:
            self.checkpoints.append(event)
            self.channel.report(event)

    def _log(self, record: StepRecord) -> bool:
        """Keep a step's record; tell what it cost and its loss. Return whether it is the last."""
        self.history.add(record)
        times = [(stamp - self.base_ns) * 1e-9 for stamp in (record.start_ns, record.end_ns)]
        asked = self.leave.is_set(), self.channel.stopping.is_set()
        own = torch.tensor([*times, *asked, *record.losses], dtype=torch.float64)
        found = self._all_gather(own)
        starts, ends, leaving, stopping, *parts = (column.tolist() for column in torch.stack(found).T)
        self.passed = self._step + self.program.num_steps
        took = (
            max(ends) - min(starts)
            if self.one_host
            else max(e - s for s, e in zip(starts, ends, strict=True))
        )
        losses = [sum(part) for part in parts]
        took /= (self.dilation or 1.0) * self.program.num_steps
        self.history.close(losses, min(starts), took)
        for k, loss in enumerate(losses) if self.process_rank == 0 else ():
            self.channel.report({"step": self._step + k, "loss": loss, "step_time_s": took})
        self.stopped = any(stopping) and self.passed < self.order.steps
        return any(leaving) or self.stopped

    def _gatherer(self) -> Gatherer:
        return Gatherer(self._transport(), self.members, self.device, self.replica, self.workload.order)

    def _gather_weights(self) -> Weights:
        """Return all weights, on the first worker; nothing on the others."""
        return {name: state.weights for name, state in self._gatherer().collect()}

    def compare(self) -> dict[str, Any]:
        """Do the undivided run on the first worker; return its losses and how far the weights are apart."""
        if self.process_rank != 0 or not self.order.reference or self.stopped:
            return {}
        order = self.order
        rest = order.steps, order.seed, order.learning_rate, partial(self.channel.beat, index=-1)
        trained = local_rounds if self.program.num_steps > 1 else undivided
        losses, reference = trained(self.plan, self.workload, *rest)
        difference = relative_difference(self.weights, reference)
        return {"reference_losses": losses, "max_relative_weight_difference": difference}


def _nothing(step: int, record: StepRecord | None = None) -> None:
    """Do nothing."""
