"""Coordinator: leads the members of an elastic run from one generation to the next."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

from models.cluster import Cluster
from models.workload import Workload
from solver.errors import InternalError, RunError, WorkerError
from solver.evaluate import evaluate
from solver.execution.elastic.account import Account
from solver.execution.elastic.desk import Desk, Mate
from solver.execution.elastic.drill import Drill
from solver.execution.elastic.hands import Hands
from solver.execution.elastic.line import Line, Message
from solver.execution.elastic.silent_links import SilentLinks
from solver.execution.elastic.story import Change, Event, Story
from solver.execution.elastic.strikes import Strike
from solver.execution.elastic.summons import carried, order_of, summons
from solver.execution.elastic.whereabouts import Generation, Whereabouts
from solver.execution.order import Order
from solver.execution.passes.worklist import members
from solver.execution.state.remains import put_together
from solver.lowering import lower
from solver.plan import Plan
from solver.repair.policy import Planner
from solver.repair.stock import Move, context_of, copy_moves, moves

SILENCE_S = 2.0
"""A member that says nothing for so long is given up; it beats ten times as often."""

STOP_S, SETUP_S, START_S = 10.0, 40.0, 60.0

PATIENCE_S = 20.0
"""How long a run waits for a silent device, if nobody else has its weights."""

_LOOK_S = 0.02
_ATTENTIVE_S = 0.2
"""The coordinator itself was held up if it did not look for longer."""


class Coordinator:
    """One elastic run.

    Parameters
    ----------
    order
        The run by the plan of all devices.
    workload, cluster
        What the plan names.
    planner
        Finds plans for those that are left.
    hands
        Its processes.
    strikes
        Faults to do on purpose.
    on_event
        Called with every step, and with what happens to devices.
    respawn_s
        Seconds after which a process that ended is started again; ``None``: never.
    stop
        Set it, and the run ends after the step in work, with a checkpoint.
    """

    def __init__(
        self,
        order: Order,
        workload: Workload,
        cluster: Cluster,
        planner: Planner,
        hands: Hands,
        strikes: Sequence[Strike] = (),
        on_event: Callable[[Message], None] = lambda event: None,
        respawn_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.order, self.workload, self.cluster = order, workload, cluster
        self.planner, self.hands, self.on_event = planner, hands, on_event
        self.respawn_s, self.stop = respawn_s, stop or threading.Event()
        self.story = Story(dilation=order.dilation or 1.0)
        self.reports: dict[str, Message] = {}
        self.dilation = order.dilation
        self.generations: list[Generation] = []
        self.account = Account(cluster.by_name)
        self._drill = Drill(strikes, hands, self._start)
        self._respawn_at: dict[str, float] = {}
        self._links = SilentLinks()
        self._at_the_door: dict[str, tuple[Line, Message]] = {}
        self._events: list[Event] = []
        self._stopping_s: float | None = None
        self._broken_s: float | None = None
        self._halted = self._told_stop = False
        self.last_step_s = 0.0
        self._looked_s = time.monotonic()

    @property
    def now(self) -> Generation:
        """The generation that trains."""
        return self.generations[-1]

    def run(self) -> Story:
        """Train to the end, whoever leaves on the way.

        Raises
        ------
        RunError
            If nobody has some weights any longer, or no plan suits those that are left.
        KeyboardInterrupt
            If it was stopped.
        """
        plan = self.planner.base
        devices = self._members(plan)
        self.mates = {name: Mate(name) for name in devices}
        self.whereabouts = Whereabouts(self.generations, self.mates, self.workload, self.cluster)
        self.desk = Desk()
        self.store = dist.TCPStore(  # type: ignore[attr-defined]
            self.desk.host, 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=SETUP_S)
        )
        try:
            for name in devices:
                self._start(name)
            self._await(lambda: all(m.state == "idle" for m in self.mates.values()), START_S, "did not start")
            self._begin(plan, self.order.first_step, [], [], 0.0, fresh=True)
            self.last_step_s = time.monotonic()
            while not all(self.mates[name].state == "done" for name in self.now.devices):
                self._look()
                self._keep_time()
                self._decide()
            if self._step() != self.order.steps:
                raise InternalError(f"the losses end after step {self._step()} of {self.order.steps}")
            self.story.wall_s = self.last_step_s - (self.account.began_s or self.last_step_s)
        finally:
            for mate in self.mates.values():
                mate.tell({"end": True})
                if mate.state not in ("done", "idle", "stopped"):
                    self.hands.reap(mate.device)
            self.desk.close()
            del self.store
        return self.story

    def _members(self, plan: Plan) -> tuple[str, ...]:
        return members(lower(plan, self.workload, self.cluster))

    def _await(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                waiting = [m.device for m in self.mates.values() if m.state in ("absent", "busy")]
                raise WorkerError(", ".join(waiting), "none yet", f"{what} within {seconds:.0f} s")
            self._look()

    def _look(self) -> None:
        """Take in what members say; notice who is silent."""
        heard = self.desk.listen(_LOOK_S)
        while heard is not None:
            self._take(*heard)
            heard = self.desk.listen(0.0) if not self.desk.heard.empty() else None
        now = time.monotonic()
        asleep_s, self._looked_s = max(0.0, now - self._looked_s - _ATTENTIVE_S), now
        for mate in self.mates.values():
            # What nobody listened to was not silence.
            mate.heard_s += asleep_s
            if mate.state in ("busy", "stopped", "done", "idle") and now - mate.heard_s > SILENCE_S:
                self._lose(mate, f"no sign of life for {now - mate.heard_s:.1f} s", now)

    def _take(self, device: str, line: Line, message: Message | None) -> None:
        mate = self.mates.get(device)
        if mate is None or (mate.line is not None and line is not mate.line and message is None):
            return
        if message is None:
            if line is mate.line:
                self._gone(mate)
            return
        if "hello" in message:
            self._welcome(mate, line, message)
            return
        if line is not mate.line:
            return
        mate.heard_s = time.monotonic()
        if mate.state == "outdated":
            if message.get("generation"):
                self.story.fenced[device] = self.story.fenced.get(device, 0) + 1
            if not mate.is_warned:
                mate.is_warned = True
                mate.tell({"leave": self.now.number})
            return
        self._hear(mate, message)

    def _hear(self, mate: Mate, message: Message) -> None:
        if "beat" in message:
            for source, tag, count in message.get("overdue", ()):
                asked = message["generation"]
                self.mates[source].tell({"sent": [mate.device, tag, count], "asked": asked})
        elif message.get("generation") != self.now.number:
            return
        elif "ready" in message:
            mate.holds = (self.now.number,)
        elif "loss" in message:
            self._stepped(message)
        elif "lost_on_the_way" in message:
            self._links.note(mate.device, message["lost_on_the_way"], time.monotonic())
        elif "checkpoint" in message:
            self.story.checkpoints.append({key: message[key] for key in ("checkpoint", "step", "error")})
            self.on_event(message)
        elif "stopped" in message:
            mate.state = "stopped"
            mate.learn(message)
            mate.stopped = message | {"device": mate.device}
            self.account.hear(mate.device, message, mate.heard_s)
            if message["why"] == "broken" and self._broken_s is None:
                self._broken_s = time.monotonic()
        elif "done" in message:
            mate.state = "done"
            mate.learn(message)
            self.reports[mate.device] = message["report"]
        elif "saved" in message:
            mate.state = "saved"
        elif "begins" in message or "spans" in message:
            self.account.hear(mate.device, message, mate.heard_s)
        else:
            self.on_event(message)

    def _welcome(self, mate: Mate, line: Line, message: Message) -> None:
        if mate.line is not None and mate.line is not line:
            mate.line.close()
        mate.line, mate.pid, mate.heard_s = line, message["pid"], time.monotonic()
        self.account.come(mate.device, mate.heard_s)
        if self._links.is_barred(mate.device, mate.heard_s):
            mate.state, mate.is_warned = "outdated", True
            self._at_the_door[mate.device] = line, message
            return
        mate.state, mate.stopped, mate.is_warned = "idle", {}, False
        mate.learn(message)
        if self.generations:
            self._events.append(Event("returned", mate.device, "it asks to be taken in", self._step()))
            self.on_event({"returned": mate.device})

    def _step(self) -> int:
        """Return the number of the step in work."""
        return self.order.first_step + len(self.story.losses)

    def _stepped(self, message: Message) -> None:
        step = message["step"]
        if step != self._step():
            return
        self.last_step_s = time.monotonic()
        self.account.hear("", message, self.last_step_s)
        if message.get("dilation"):
            self.dilation = self.story.dilation = message["dilation"]
        self.story.losses.append(message["loss"])
        self.story.step_times_s.append(message["step_time_s"])
        self.story.predicted_s.append(self.now.step_s)
        self.story.devices_alive.append(len(self.now.devices))
        self.on_event(message)
        self._drill.step(self._step())

    def _start(self, device: str) -> None:
        self.hands.start(device, self.desk.host, self.desk.port)

    def _keep_time(self) -> None:
        """Do the faults, the restarts and the admissions that are due."""
        now = time.monotonic()
        self._drill.carry_out(lambda device: self.mates[device].state == "busy")
        for device, moment in list(self._respawn_at.items()):
            if moment <= now:
                del self._respawn_at[device]
                self._start(device)
        for device, (line, message) in list(self._at_the_door.items()):
            if not self._links.is_barred(device, now):
                del self._at_the_door[device]
                if self.mates[device].line is line:
                    self._welcome(self.mates[device], line, message)

    def _gone(self, mate: Mate) -> None:
        """A connection ended: with it, the process."""
        now = time.monotonic()
        self.account.go(mate.device, self._drill.struck_s.get(mate.device, mate.heard_s))
        if mate.state not in ("absent", "outdated"):
            self._lose(mate, f"its process {self.hands.epitaph(mate.device)}", now)
        mate.state, mate.line, mate.holds = "absent", None, ()
        self.hands.reap(mate.device)
        if self.respawn_s is not None:
            self._respawn_at[mate.device] = now + self.respawn_s

    def _lose(self, mate: Mate, reason: str, now: float) -> None:
        if mate.state == "idle":
            mate.state = "outdated"
            self._events = [event for event in self._events if event.device != mate.device]
            return
        since = self._drill.struck_s.pop(mate.device, mate.heard_s)
        self._events.append(Event("lost", mate.device, reason, self._step(), now - since))
        mate.state, mate.stopped = "outdated", {}
        self.on_event({"lost": mate.device, "reason": reason})

    def _decide(self) -> None:
        """Begin a new generation when there is a reason to, and everybody left has stopped."""
        if not self.generations:
            return
        now = time.monotonic()
        inside = [self.mates[name] for name in self.now.devices]
        self._give_up_silent_links(now)
        left = [mate for mate in inside if mate.state in ("busy", "stopped", "done")]
        lost = len(left) < len(inside)
        if not lost and all(mate.state == "done" for mate in inside):
            return
        if not self._events and not self._blame(now, left):
            self._end_early(left)
            return
        if self._stopping_s is None:
            self._stopping_s = now
            if not lost:
                for mate in left:
                    mate.tell({"pause": self.now.number})
        if (lost or self._broken_s is not None) and not self._halted:
            self._halted = True
            for mate in left:
                mate.tell({"halt": self.now.number})
        if not any(mate.state == "busy" for mate in left):
            self._change(now)
        elif self._halted and now - self._stopping_s > STOP_S:
            for mate in left:
                if mate.state == "busy":
                    self._lose(mate, f"did not stop within {STOP_S:.0f} s", now)

    def _give_up_silent_links(self, now: float) -> None:
        """Give up a device whose link is silent though both its ends live."""
        away = {mate.device for mate in self.mates.values() if mate.state in ("absent", "outdated")}

        def cost(name: str) -> float:
            found = self.planner.candidates(away | {name}, None, self.order.steps - self._step())
            return found[0].step_s if found else math.inf

        busy = [name for name in self.now.devices if self.mates[name].state == "busy"]
        worst = self._links.worst(now, busy, cost)
        if worst is not None:
            device, others = worst
            self._links.forget()
            self._links.bar(device, now)
            self._lose(self.mates[device], f"its link to {', '.join(others)} is silent", now)
            for name in others:
                self._drill.struck_s.pop(name, None)

    def _end_early(self, left: list[Mate]) -> None:
        """Have all members leave with a checkpoint, if the run was stopped."""
        if not self.stop.is_set():
            return
        if not self._told_stop:
            self._told_stop = True
            for mate in left:
                mate.tell({"stop": self.now.number})
        if all(mate.state == "stopped" for mate in left):
            raise KeyboardInterrupt

    def _blame(self, now: float, left: list[Mate]) -> bool:
        """Give up whom a broken member missed, if nobody else is known to have gone."""
        if self._broken_s is None or now - self._broken_s < SILENCE_S + 0.5:
            return False
        broken = [mate.stopped for mate in left if mate.stopped.get("why") == "broken"]
        own = [told for told in broken if told["peer"] is None]
        peers = [told["peer"] for told in broken if told["peer"] in self.mates]
        if own or not peers:
            told = (own or broken)[0]
            reason = f"raised {told['reason']}\n{told['trace']}"
            raise WorkerError(told["device"], f"those of step {self._step()}", reason)
        self._lose(self.mates[max(set(peers), key=peers.count)], "its link stays silent", now)
        return True

    def _change(self, stopped_s: float) -> None:
        """Pass on to the next generation."""
        began = self._stopping_s or stopped_s
        before, events, halted = self.now, self._events, self._halted
        present = {m.device for m in self.mates.values() if m.state in ("stopped", "done", "idle")}
        away = {name for name in self.mates if name not in present}
        inside = [self.mates[n] for n in before.devices if self.mates[n].state in ("stopped", "done")]
        # What one member knows to be done by all was done by all, whatever the others have heard of it.
        back = [m for m in self.mates.values() if m.state == "idle" and before.number in m.holds]
        version = max([before.first_step, *(mate.passed for mate in (*inside, *back))])
        version = min(version, self._step())  # a step whose loss nobody told is done again
        stock, version = self.whereabouts.latest(version)
        fresh = version == self.order.first_step
        if not fresh and stock.lost() and self._is_worth_waiting(began):
            self._links.pardon()
            return
        self._events, self._stopping_s, self._broken_s = [], None, None
        self._halted = self._told_stop = False
        self._links.forget()
        if not present:
            raise RunError("no device is left")
        if stock.lost() and not fresh:
            self._give_up(f"nobody has the weights of {', '.join(stock.lost())} any longer", version)
        planning = time.monotonic()
        known = None if fresh else stock
        candidates = self.planner.candidates(away, known, self.order.steps - version)
        if not candidates:
            self._give_up(f"no plan suits {', '.join(sorted(present))}", version)
        chosen = candidates[0]
        planned = time.monotonic()
        context = context_of(chosen.plan, self.workload, self.cluster)
        found = [] if fresh else moves(stock, context)
        told = self.whereabouts.told(found, version)
        found += [] if fresh else copy_moves(stock, context)
        self._begin(chosen.plan, version, found, told, chosen.move_s, fresh=fresh)
        resumed = time.monotonic()
        steps_lost = self._step() - version
        self.story.take_back(steps_lost)
        self.story.changes.append(
            Change(
                generation=self.now.number,
                events=events,
                step=version,
                steps_lost=steps_lost,
                in_flight_lost=halted,
                how=chosen.how,
                candidates=[one.to_json() for one in candidates],
                step_s_before=before.step_s,
                step_s_after=self.now.step_s,
                stop_s=stopped_s - began,
                replan_s=planned - planning,
                move_s=resumed - planned,
                resume_s=resumed - began,
                moved_bytes=chosen.move_bytes,
                plan_before=before.plan.model_dump(mode="json", exclude_defaults=True),
                plan_after=chosen.plan.model_dump(mode="json", exclude_defaults=True),
            )
        )
        self.on_event({"generation": self.now.number, "how": chosen.how, "devices": list(self.now.devices)})

    def _is_worth_waiting(self, began: float) -> bool:
        """Return whether a silent device may still come back with weights that nobody else has."""
        silent = any(mate.state == "outdated" and mate.line is not None for mate in self.mates.values())
        return silent and time.monotonic() - began < PATIENCE_S

    def _begin(
        self,
        plan: Plan,
        version: int,
        found: list[Move],
        told: list[Message],
        move_s: float,
        *,
        fresh: bool,
    ) -> None:
        """Begin a generation, and wait until all its members have their weights."""
        program = lower(plan, self.workload, self.cluster)
        devices = members(program)
        number = len(self.generations) + 1
        valid = {name: self.whereabouts.valid(name, version) for name in devices}
        step_s = evaluate(plan, self.workload, self.cluster).step_time_s
        generation = Generation(number, plan, devices, version, step_s)
        self.generations.append(generation)
        context = context_of(plan, self.workload, self.cluster)
        self.account.begin(generation, program, carried(found, context), time.monotonic())
        begun = replace(self.order, dilation=self.dilation)
        order = order_of(begun, generation, self.story.losses, fresh=fresh)
        for rank, name in enumerate(devices):
            mate = self.mates[name]
            mate.state, mate.heard_s = "busy", time.monotonic()
            same = {"fresh": fresh, "moves": told, "move_s": move_s * (self.dilation or 0.0)}
            own = {"valid": valid[name], "store": [self.desk.host, self.store.port]}
            mate.tell(summons(generation, order, rank, **same, **own))
        for mate in self.mates.values():
            mate.holds = ()
            if mate.device not in devices and mate.state in ("stopped", "done"):
                mate.state = "idle"
        deadline = time.monotonic() + SETUP_S
        while not all(self.mates[name].holds == (number,) for name in devices):
            self._look()
            if self._events or self._broken_s is not None:
                return
            if time.monotonic() > deadline:
                late = [name for name in devices if self.mates[name].holds != (number,)]
                for name in late:
                    self._lose(self.mates[name], f"was not ready within {SETUP_S:.0f} s", time.monotonic())
                return
        if number == 1:
            self._drill.step(self._step())

    def _give_up(self, reason: str, version: int) -> None:
        """End the run; those that are left save what they hold."""
        saved = ""
        if self.order.checkpoint is not None:
            left = [m for m in self.mates.values() if m.state in ("stopped", "done")]
            for mate in left:
                order = replace(self.order, plan=self.now.plan.model_dump(mode="json", by_alias=True))
                told = {"save": version, "order": order.to_json(), "losses": self.story.losses}
                mate.tell(told | {"save_generation": self.now.number})
            deadline = time.monotonic() + SETUP_S
            while any(m.state in ("stopped", "done") for m in left) and time.monotonic() < deadline:
                self._look()
            put_together(Path(self.order.checkpoint), self.workload.order)
            saved = f"; what the others hold lies in {self.order.checkpoint}"
        raise RunError(f"{reason}{saved}")
