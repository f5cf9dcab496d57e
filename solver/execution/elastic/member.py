"""Member: the worker's side of an elastic run: it beats, and trains in one generation after another."""

from __future__ import annotations

import gc
import os
import queue
import threading
import time
import traceback
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist

from solver.errors import RunError
from solver.execution.clock import now_ns, sleep_until
from solver.execution.elastic.account import told_spans
from solver.execution.elastic.gate import Gate, GatedTransport
from solver.execution.elastic.holding import Holding
from solver.execution.elastic.line import Line, Message
from solver.execution.elastic.removal import Removal
from solver.execution.elastic.traffic import Traffic
from solver.execution.history import StepRecord
from solver.execution.network.transport import LinkError
from solver.execution.network.wires import Wires
from solver.execution.order import Order
from solver.execution.passes.replica import Replica
from solver.execution.passes.shapes import output_shapes
from solver.execution.passes.tuning import Tuning
from solver.execution.passes.worklist import Worklist
from solver.execution.state.copies import Copies
from solver.execution.state.frozen import kept_blocks
from solver.execution.state.keeper import about
from solver.execution.state.remains import leave
from solver.execution.workers.session import Session
from solver.lowering import lower
from solver.simulate import simulate

BEAT_S = 0.2
_PRECISE_S = 0.02
"""Before the end of a sleep, the part that nothing interrupts."""

_SETUP_S = 10.0
"""Longest wait for the other members of a new generation."""


class Halted(RunError):
    """The coordinator has ended this generation."""


class Member:
    """One device of an elastic run.

    Parameters
    ----------
    device
        Its name.
    line
        To the coordinator.
    gate
        What its traffic passes.
    """

    def __init__(self, device: str, line: Line, gate: Gate) -> None:
        self.device, self.line, self.gate = device, line, gate
        self.generation = 0
        self.traffic = Traffic()
        self.stopping = threading.Event()
        self.holdings: list[Holding] = []
        self.copies = Copies(depth=2)
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._ended_generation = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._wires: Wires | None = None
        self._session: Session | None = None
        self._at = (-1, -1)
        self._passed = 0
        self._told = -1
        self._lives = True

    def serve(self) -> None:
        """Take part until the coordinator ends the run or goes away."""
        self._say({"hello": self.device, "pid": os.getpid(), **self._state()})
        threads = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._live, daemon=True),
        ]
        for thread in threads:
            thread.start()
        while (told := self._inbox.get()) is not None:
            if "configure" in told:
                self._take_part(told)
            elif "leave" in told:
                self._ask_again()
            elif "save" in told:
                self._save(told)
        self._lives = False
        self._forget()
        self.line.close()
        for thread in threads:
            thread.join(2.0)

    def beat(self, step: int, index: int) -> None:
        """Note an instruction, and stop if the generation has ended."""
        self._at = step, index
        if self._ended_generation >= self.generation:
            raise Halted(f"generation {self.generation} has ended")

    def report(self, event: Message) -> None:
        """Tell the coordinator something about a step."""
        dilation = self._session.dilation if self._session is not None else None
        self._say({**event, "dilation": dilation})

    def pause(self, moment_ns: int) -> None:
        """Sleep until a moment, or until the generation ends."""
        rest = (moment_ns - now_ns()) * 1e-9
        if rest > _PRECISE_S and self._ended.wait(rest - _PRECISE_S):
            raise Halted(f"generation {self.generation} has ended")
        sleep_until(moment_ns)

    def _say(self, message: Message) -> None:
        """Send a message; while the gate is shut it is lost."""
        if self.gate.is_open:
            self.line.send({"generation": self.generation, **message})

    def _live(self) -> None:
        while self._lives:
            overdue = [[due.source, due.tag, due.count] for due in self.traffic.overdue()]
            self._say({"beat": list(self._at), **({"overdue": overdue} if overdue else {})})
            time.sleep(BEAT_S)

    def _listen(self) -> None:
        while (told := self.line.receive()) is not None:
            if not self.gate.is_open:
                continue
            if "sent" in told:
                self._own_up(told)
            elif "stop" in told:
                if told["stop"] == self.generation:
                    self.stopping.set()
            elif "halt" in told or "leave" in told:
                self._end_generation(int(told["halt"] if "halt" in told else told["leave"]))
            elif "pause" in told:
                with self._lock:
                    if self._session is not None and told["pause"] == self.generation:
                        self._session.leave.set()
            if not {"halt", "pause", "sent", "stop"} & told.keys():
                self._inbox.put(None if "end" in told else told)
        self._end_generation(2**62)
        self._inbox.put(None)

    def _own_up(self, told: Message) -> None:
        """Say so if a message that another member misses was sent from here."""
        (target, tag, count), generation = told["sent"], told["asked"]
        if generation == self.generation and self.traffic.has_long_sent(target, tag, count):
            self._say({"lost_on_the_way": target})

    def _end_generation(self, generation: int) -> None:
        with self._lock:
            self._ended_generation = max(self._ended_generation, generation)
            if self._ended_generation >= self.generation:
                self._ended.set()
                if self._wires is not None:
                    self._wires.cut()

    def _take_part(self, told: Message) -> None:
        """Train in one generation until it ends; say how far it came."""
        with self._lock:
            self.generation = told["configure"]
            if self._ended_generation < self.generation:
                self._ended.clear()
        self._at = -1, -1
        self.holdings = [one for one in self.holdings if one.generation in told["valid"]]
        failed: Message = {"why": "paused", "peer": None}
        first = told["first_step"]
        try:
            report = self._train(told)
            if self._session is not None and self._session.passed >= told["order"]["steps"]:
                self._passed = self._session.passed
                self._say({"done": self.generation, "report": report, **self._state()})
                return
        except BaseException as error:
            failed = {
                "why": "halted" if self._ended_generation >= self.generation else "broken",
                "reason": f"{type(error).__name__}: {error}",
                "peer": error.peer if isinstance(error, LinkError) else None,
                "trace": traceback.format_exc()[-2000:],
            }
        self._passed = self._session.passed if self._session is not None else first
        failed |= self._broken_off()
        self._drop_session()
        self.gate.wait()
        self._say({"stopped": self.generation, **self._state(), **failed})

    def _broken_off(self) -> Message:
        """Return what was done of the step in work, if it was not told yet."""
        if self._session is None:
            return {}
        step, start_ns, spans = self._session.in_work()
        if step <= self._told or not spans:
            return {}
        return {"dilation": self._session.dilation, **told_spans(step, start_ns, spans)}

    def _state(self) -> Message:
        """Return how far this member came, and whose plans' blocks and which copies it has."""
        holds = [one.generation for one in self.holdings]
        copies = self.copies.versions
        return {"passed": self._passed, "holds": holds, "kept": self._kept(), "copies": copies}

    def _kept(self) -> list[tuple[int, int]]:
        """Return generations with the numbers of steps after which this member still has their blocks."""
        return [(one.generation, version) for one in self.holdings for version in one.versions]

    def _train(self, told: Message) -> dict[str, Any]:
        order = Order(**told["order"])
        transport = self._connect(told, order)
        session = Session(order, told["process_rank"], self, transport, told["first_step"])
        session.copies, session.pause = self.copies, self.pause
        session.renews_first = True
        with self._lock:
            self._session = session
            if self._ended_generation >= self.generation:
                raise Halted(f"generation {self.generation} has ended")
        self._fill(session, told)
        self._say({"ready": self.generation})
        holding = self.holdings[-1]
        self._told = -1

        def before(step: int) -> None:
            if session.trains and step == session.first_step:
                self._say({"begins": step})
            if step > session.first_step and len(self.holdings) > 1:
                del self.holdings[:-1]
                self.copies.forget_frozen(but=kept_blocks(session.plan, self.device))
            holding.replica = session.replica
            holding.snapshot.take(session.replica, step)
            if session.trains:
                holding.keep(session.plan, session.first_step, step)

        def after(step: int, record: StepRecord) -> None:
            self.report(told_spans(step, record.start_ns, record.spans))
            self._told = step

        session.before_step, session.after_step = before, after
        report = session.run()
        if session.passed >= order.steps:
            report |= session.compare()
        snapshots = [holding.snapshot, *holding.kept.values()]
        report["snapshot_bytes"] = sum(one.num_bytes for one in snapshots)
        report["copies_bytes"] = self.copies.num_bytes
        return report

    def _connect(self, told: Message, order: Order) -> Any:
        self.traffic = Traffic()
        passing = partial(GatedTransport, gate=self.gate, traffic=self.traffic)
        if told["num_processes"] == 1:
            return partial(passing, group=None)
        host, port = told["store"]
        limit = timedelta(seconds=_SETUP_S)
        store = dist.TCPStore(  # type: ignore[attr-defined]
            host, port, is_master=False, timeout=limit
        )
        own = dist.PrefixStore(f"generation{self.generation}", store)  # type: ignore[attr-defined]
        wires = Wires(own, told["process_rank"], told["num_processes"], _SETUP_S)
        with self._lock:
            self._wires = wires
            if self._ended_generation >= self.generation:
                raise Halted(f"generation {self.generation} has ended")
        return partial(passing, group=wires.group)

    def _fill(self, session: Session, told: Message) -> None:
        """Give the new replica its weights: own ones, and those that move here."""
        version = told["first_step"]
        began = now_ns()
        if not told["fresh"]:
            for holding in self.holdings:
                holding.bring_to(version)
            removal = Removal(session, [one.replica for one in self.holdings], self.copies, version)
            removal.carry_out(told["moves"])
            sleep_until(began + round(told["move_s"] * 1e9))
        self.holdings.append(Holding(self.generation, session.replica))

    def _drop_session(self) -> None:
        """Let go of connections and buffers of a generation that is over."""
        with self._lock:
            if self._wires is not None:
                self._wires.cut()
            self._wires, self._session = None, None

    def _ask_again(self) -> None:
        """Ask to be taken in: the others have gone on without this member, or wait for what it holds."""
        self._drop_session()
        self.generation, self._at = 0, (-1, -1)
        self._say({"hello": self.device, "pid": os.getpid(), **self._state()})

    def _forget(self) -> None:
        """Let go of everything."""
        self._drop_session()
        self.holdings.clear()
        self.copies = Copies(depth=2)
        gc.collect()

    def _save(self, told: Message) -> None:
        """Leave what this member holds on disk, when the run cannot go on."""
        order, version = Order(**told["order"]), told["save"]
        fault = None
        try:
            if self.holdings and order.checkpoint is not None:
                holding = self.holdings[-1]
                holding.bring_to(version)
                plan, workload, _ = order.documents()
                said = about(order, plan, workload, version, told["losses"])
                leave(Path(order.checkpoint), self.device, holding.replica, said)
        except OSError as error:
            fault = str(error)
        self._say({"saved": self.device, "fault": fault, "generation": told["save_generation"]})


def serve(told: Message, gate: Gate) -> None:
    """Be a member of an elastic run.

    Parameters
    ----------
    told
        Device, address of the coordinator, and the order of the run.
    gate
        What its traffic passes.
    """
    warm_up(Order(**told["order"]), told["device"])
    with suppress(OSError):
        Member(told["device"], Line.to(told["host"], told["port"]), gate).serve()


def warm_up(order: Order, device: str) -> None:
    """Load and compile what a session needs before anybody waits for it: in a new process that takes long.

    Parameters
    ----------
    order, device
        The run, and who takes part.
    """
    plan, workload, cluster = order.documents()
    program = lower(plan, workload, cluster)
    simulate(program)
    output_shapes(workload)
    worklist = Worklist(device, program, plan, workload, cluster)
    tuning = Tuning.of(plan, workload, device)
    Replica(tuning, worklist.held, order.seed, order.learning_rate)
