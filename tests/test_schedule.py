"""Order of a Program: the rule in plain Python must give the compiled order, one by one."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest

from solver.lowering import lower
from solver.lowering.assemble import Assembler
from solver.lowering.context import Context
from solver.lowering.stages import StageView, stage_views
from solver.lowering.templates import Template
from solver.program import Kind, Row
from solver.schedule import StageNode, list_schedule
from solver.settings import Settings
from tests.random_plans import any_case, chain, cluster, plan

PHASES = ("forward", "backward")


class Operation(NamedTuple):
    stage: int
    micro_batch: int
    direction: int
    start: int


class Message(NamedTuple):
    send: Row
    receive: Row | None
    micro_batch: int
    users: list[tuple[int, int, int]]
    direction: int


class Plain:
    """The rule of solver/schedule.py and solver/lowering/emit.py, with lists and dictionaries."""

    def __init__(self, views: list[StageView], templates: dict[tuple[int, int, str], Template]) -> None:
        self.views, self.templates = views, templates

    def template(self, stage: int, micro_batch: int, direction: int) -> Template:
        return self.templates[stage, int(self.views[stage].class_of[micro_batch]), PHASES[direction]]

    def units(self, stage: int, micro_batch: int) -> list[int]:
        return self.template(stage, micro_batch, 0).units

    def lag(self, source: int, target: int) -> int:
        return int(
            any(
                row.kind == Kind.SEND and any(user[0] == target for user in users)
                for c in range(len(self.views[source].classes))
                for row, users in zip(
                    self.templates[source, c, "forward"].messages,
                    self.templates[source, c, "forward"].consumers,
                    strict=True,
                )
            )
        )

    def order(self) -> list[Operation]:
        ordered: list[Operation] = []
        end: dict[tuple[int, int, int], int] = {}
        free: defaultdict[int, int] = defaultdict(int)
        done = {(view.index, direction): 0 for view in self.views for direction in (0, 1)}
        while True:
            options = []
            for view in self.views:
                f, b, m = done[view.index, 0], done[view.index, 1], len(view.class_of)
                direction = int(view.has_backward and (f == m or f - b >= view.cap))
                i = b if direction else f
                if i >= m:
                    continue
                if direction:
                    waits = [(s, self.lag(view.index, s)) for s in view.succs if self.views[s].has_backward]
                else:
                    waits = [(s, self.lag(s, view.index)) for s in view.preds]
                if all((s, i, direction) in end for s, _ in waits):
                    times = [end[s, i, direction] + lag for s, lag in waits]
                    times += [free[unit] for unit in self.units(view.index, i)]
                    options.append((max(times, default=0), 1 - direction, i, view.depth, view.index))
            if not options:
                return ordered
            start, forward, i, _, s = min(options)
            ordered.append(Operation(s, i, 1 - forward, start))
            end[s, i, 1 - forward] = start + 1
            done[s, 1 - forward] += 1
            free.update(dict.fromkeys(self.units(s, i), start + 1))

    def messages(self, op: Operation) -> list[Message]:
        template = self.template(op.stage, op.micro_batch, op.direction)
        found, rows = [], list(zip(template.messages, template.consumers, strict=True))
        for k, (row, users) in enumerate(rows):
            if row.kind != Kind.RECV:
                receive = rows[k + 1][0] if row.kind == Kind.SEND else None
                found.append(Message(row, receive, op.micro_batch, users, op.direction))
        return found

    def stream(self, prefetch: int) -> list[tuple[Row, int]]:
        """All instructions of a step: row and micro-batch."""
        steps: list[Operation | list[Message]] = []
        ordered = self.order()
        leaving = list(ordered)
        for op in [*ordered, None]:
            while leaving and (op is None or leaving[0].start + 1 <= op.start) and leaving[0] != op:
                steps.append(self.messages(leaving.pop(0)))
            if op is not None:
                steps.append(op)
        wanted = self.wanted(steps, prefetch)
        return self.written(steps, wanted)

    def wanted(
        self, steps: list[Operation | list[Message]], prefetch: int
    ) -> dict[int, list[tuple[int, Message]]]:
        """Receives of every compute lane in order, with the computations before each."""
        number, count = {}, defaultdict(int)
        for op in (step for step in steps if isinstance(step, Operation)):
            for place, unit in enumerate(self.units(op.stage, op.micro_batch)):
                number[op.stage, op.micro_batch, op.direction, place] = count[unit]
                count[unit] += 1
        count.clear()
        found = defaultdict(list)
        for step in steps:
            if isinstance(step, Operation):
                for unit in self.units(step.stage, step.micro_batch):
                    count[unit] += 1
                continue
            for message in step:
                if message.receive is not None:
                    first = min(
                        number[t, message.micro_batch, message.direction, at] for t, _, at in message.users
                    )
                    unit = message.receive.unit
                    found[unit].append((min(count[unit], max(0, first - prefetch)), message))
        for unit, queue in found.items():
            found[unit] = [(min(post for post, _ in queue[k:]), queue[k][1]) for k in range(len(queue))]
        return found

    def written(
        self, steps: list[Operation | list[Message]], wanted: dict[int, list[tuple[int, Message]]]
    ) -> list[tuple[Row, int]]:
        lines: list[tuple[Row, int]] = []
        count: defaultdict[int, int] = defaultdict(int)

        def receive(unit: int) -> Message:
            _, message = wanted[unit].pop(0)
            assert message.receive is not None
            lines.append((message.receive, message.micro_batch))
            return message

        for step in steps:
            if isinstance(step, Operation):
                for unit in self.units(step.stage, step.micro_batch):
                    while wanted.get(unit) and wanted[unit][0][0] <= count[unit]:
                        receive(unit)
                    count[unit] += 1
                rows = self.template(step.stage, step.micro_batch, step.direction).compute
                lines += [(row, step.micro_batch) for row in rows]
                continue
            for message in step:
                unit = -1 if message.receive is None else message.receive.unit
                while any(waiting is message for _, waiting in wanted.get(unit, [])):
                    receive(unit)
                lines.append((message.send, message.micro_batch))
        return lines


@pytest.mark.parametrize("seed", range(60))
def test_compiled_order_is_the_rule(seed: int) -> None:
    made, workload, boards = any_case(seed)
    settings = Settings(overlap=seed % 3 > 0, prefetch=seed % 4)
    context = Context(made, workload, boards, settings)
    views = stage_views(context)
    expected = Plain(views, Assembler(context, views).templates).stream(settings.prefetch)
    program = lower(made, workload, boards, settings)
    got = [(program.rows[r], i) for r, i in zip(program.row, program.micro_batch, strict=True)]
    assert [(row, i) for row, i in got if i >= 0] == expected


@pytest.mark.parametrize("seed", range(60))
def test_gradients_are_reduced_after_the_last_pass_that_adds_to_them(seed: int) -> None:
    program = lower(*any_case(seed))
    rows = [program.rows[r] for r in program.row]
    for x, row in enumerate(rows):
        if row.kind == Kind.COLLECTIVE and row.phase == "sync":
            later = [late for late in rows[x:] if late.kind == Kind.BACKWARD and late.device == row.device]
            assert not any(set(late.blocks) & set(row.blocks) for late in later)


@pytest.mark.parametrize("seed", range(60))
def test_sends_and_receives_are_mates_and_stand_in_order(seed: int) -> None:
    program = lower(*any_case(seed))
    kind = program.table.kind[program.row]
    for x in np.flatnonzero(kind == Kind.SEND):
        y = program.mate[x]
        send, receive = program.instruction(int(x)), program.instruction(int(y))
        assert y < x and program.mate[y] == x and kind[y] == Kind.RECV
        assert (send.row.device, send.row.peer) == (receive.row.peer, receive.row.device)
        assert send.row.slices == receive.row.slices and send.micro_batch == receive.micro_batch


def stage(
    cap: int, depth: int, preds: list[int], succs: list[int], lane: int, num: int = 4, backward: bool = True
) -> StageNode:
    waits = [(s, 1) for s in preds], [(s, 1) for s in succs]
    return StageNode(np.zeros(num, np.int32), [[lane]], cap, backward, depth, *waits)


def drawn(stages: list[StageNode]) -> list[str]:
    """Of every stage what it does in each unit of time: 0 1 2 forward, a b c backward."""
    operations = list_schedule(stages)
    lines = [["."] * (int(operations["start"].max()) + 1) for _ in stages]
    for op in operations:
        letters = "abcdefghij" if op["direction"] else "0123456789"
        lines[op["stage"]][op["start"]] = letters[op["micro_batch"]]
    return ["".join(line) for line in lines]


def test_1f1b_of_three_stages() -> None:
    stages = [stage(5, 3, [], [1], 0), stage(3, 2, [0], [2], 1), stage(1, 1, [1], [], 2)]
    assert drawn(stages) == [
        "0123.....a.b.c.d",
        "..012..a3b.c.d..",
        "....0a1b2c3d....",
    ]


def test_gpipe_of_two_stages() -> None:
    stages = [stage(4, 2, [], [1], 0), stage(4, 1, [0], [], 1)]
    assert drawn(stages) == [
        "0123....abcd",
        "..0123abcd..",
    ]


def test_two_stages_of_one_device_take_turns_backward_first() -> None:
    stages = [stage(3, 2, [], [1], 0), stage(1, 1, [0], [], 0)]
    assert drawn(stages) == [
        "01....2a..3bc...d",
        "..0a1b..2c...3d..",
    ]


def test_a_frozen_stage_runs_ahead() -> None:
    stages = [stage(4, 2, [], [1], 0, backward=False), stage(1, 1, [0], [], 1)]
    assert drawn(stages) == [
        "0123......",
        "..0a1b2c3d",
    ]


def test_a_small_cap_stalls_the_first_stage() -> None:
    stages = [stage(1, 2, [], [1], 0, num=2), stage(1, 1, [0], [], 1, num=2)]
    assert drawn(stages) == [
        "0....a1....b",
        "..0a....1b..",
    ]


def test_stages_that_wait_for_one_another_are_refused() -> None:
    grows = [stage(1, 2, [], [1], 0), stage(2, 1, [0], [], 1)]
    with pytest.raises(ValueError, match="wait for one another"):
        list_schedule(grows)


def test_faster_parts_do_not_change_the_order() -> None:
    rng = np.random.default_rng(3)
    workload, boards = chain(rng, 6), cluster(rng, 4)
    stages = [{"blocks": [f"b{2 * i}", f"b{2 * i + 1}"], "shares": {f"d{i}": 8}} for i in range(3)]
    made = plan([{"micro_batches": 5, "samples": 8, "stages": stages}], {"batch": 40})
    changed = boards.model_dump()
    changed["devices"][1]["flop_per_s"]["fp32"]["value"] *= 50
    for segment in changed["segments"]:
        segment["bandwidth_bytes_per_s"] *= 20
    faster = lower(made, workload, type(boards).model_validate(changed))
    before = lower(made, workload, boards)
    assert [before.text(name) for name in before.devices] == [faster.text(name) for name in faster.devices]
