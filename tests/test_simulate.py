"""Walk on a virtual clock: timelines drawn by hand, and a plain walker as the oracle of the compiled one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cluster import Cluster
from models.workload import Workload
from solver.lowering import lower
from solver.plan import Plan, Sync
from solver.program import Kind, Program
from solver.settings import Settings
from solver.simulate import Timeline, simulate
from tests.random_plans import any_case, plan

COMPUTE = (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE, Kind.AGGREGATE)


def two_boards(schedule: str, micro_batches: int = 2, kind: str = "switch") -> tuple[Plan, Workload, Cluster]:
    """Forward 1 s, backward 2 s (1 s without an input gradient), a message 1 s; 100 bytes are kept."""
    block = {
        "forward_flop": 1e9,
        "backward_input_flop": 1e9,
        "backward_weight_flop": 1e9,
        "weight_bytes": 4,
        "kept_bytes": 100,
        "output_bytes": 10,
    }
    workload = {
        "name": "two",
        "blocks": [{"name": "a", **block}, {"name": "b", **block}],
        "edges": [{"source": "a", "target": "b"}],
    }
    devices = [{"name": name, "flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e6} for name in ("left", "right")]
    net = {"name": "net", "kind": kind, "members": ["left", "right"], "bandwidth_bytes_per_s": 10}
    stages = [{"blocks": ["a"], "shares": {"left": 1}}, {"blocks": ["b"], "shares": {"right": 1}}]
    return (
        plan(
            [{"micro_batches": micro_batches, "samples": 1, "stages": stages}],
            {"batch": micro_batches},
            schedule=schedule,
        ),
        Workload.model_validate(workload),
        Cluster.model_validate({"name": "two", "devices": devices, "segments": [net]}),
    )


def drawn(program: Program, timeline: Timeline) -> dict[str, str]:
    """One character a second and lane: 0 1 2 forward (or an output on its way), a b c backward."""
    lanes = {name: ["."] * round(timeline.makespan_s) for name in program.lanes}
    for i in range(len(program)):
        instruction = program.instruction(i)
        row, micro_batch = instruction.row, instruction.micro_batch
        letters = "abcdefgh" if row.phase == "backward" else "01234567"
        for lane in row.lanes:
            for second in range(round(timeline.start_s[i]), round(timeline.end_s[i])):
                assert lanes[program.lanes[lane]][second] == "."
                lanes[program.lanes[lane]][second] = letters[micro_batch]
    return {name: "".join(line) for name, line in lanes.items() if set(line) != {"."}}


def test_1f1b_of_two_stages() -> None:
    program = lower(*two_boards("1f1b", 3))
    assert drawn(program, simulate(program)) == {
        "left:compute": "012...a..b..c",
        "left:send": ".012.........",
        "right:recv": ".012.........",
        "right:compute": "..0aa1bb2cc..",
        "right:send": ".....a..b..c.",
        "left:recv": ".....a..b..c.",
    }


def test_gpipe_of_two_stages() -> None:
    program = lower(*two_boards("gpipe", 3))
    assert drawn(program, simulate(program)) == {
        "left:compute": "012.....a.b.c",
        "left:send": ".012.........",
        "right:recv": ".012.........",
        "right:compute": "..012aabbcc..",
        "right:send": ".......a.b.c.",
        "left:recv": ".......a.b.c.",
    }


def test_without_overlap_a_message_occupies_both_boards() -> None:
    program = lower(*two_boards("1f1b", 3, "shared"), Settings(overlap=False))
    assert drawn(program, simulate(program)) == {
        "left:compute": "001122..aa..bb..cc",
        "right:compute": ".0.102aaa1bbb2ccc.",
        "net:medium": ".0.1.2..a...b...c.",
    }


@pytest.mark.parametrize(
    ("schedule", "left", "right"),
    [
        # Left: three micro-batches of 100 kept and 10 passed on, and three gradients of 10 awaited.
        # Right, 1F1B: 100 kept (10 of them the input), two inputs received ahead, the gradient it sends.
        ("1f1b", 3 * (100 + 10) + 3 * 10, 100 + 2 * 10 + 10),
        # Right, GPipe: all three kept, and the gradient it sends.
        ("gpipe", 3 * (100 + 10) + 3 * 10, 3 * 100 + 10),
    ],
)
def test_memory_of_two_stages(schedule: str, left: int, right: int) -> None:
    found = simulate(lower(*two_boards(schedule, 3)))
    assert found.peak_bytes.tolist() == [left, right]


def plain_walk(program: Program) -> tuple[list[float], list[float]]:
    """Start and end of every instruction, by asking of each what must be over before it."""
    end_of_slot: dict[int, float] = defaultdict(float, program.releases)
    free: defaultdict[int, float] = defaultdict(float)
    start, end = [0.0] * len(program), [0.0] * len(program)
    posted: dict[int, float] = {}
    for i in range(len(program)):
        row = program.rows[program.row[i]]
        group = [i]
        if row.kind == Kind.RECV:
            posted[i] = free[row.unit]
            continue
        if row.kind == Kind.COLLECTIVE:
            if row.members == 0:
                continue
            group = list(range(i, i + row.members))
        rows = [program.rows[program.row[j]] for j in group]
        before = [free[lane] for one in rows for lane in (one.unit, *one.lanes)]
        if row.kind in COMPUTE:
            before.append(end_of_slot[int(program.slot[i])])
        if row.kind == Kind.SEND:
            before.append(posted[int(program.mate[i])])
            group.append(int(program.mate[i]))
        for j in group:
            start[j], end[j] = max(before), max(before) + row.duration_s
        for one in rows:
            free.update(dict.fromkeys(one.lanes, end[i]))
        if row.kind not in COMPUTE:
            for j in group:
                if program.slot[j] >= 0:
                    slot = int(program.slot[j])
                    end_of_slot[slot] = max(end_of_slot[slot], end[i])
    return start, end


def plain_peaks(program: Program) -> tuple[list[int], list[int]]:
    """Largest memory of every device, and the receive buffers in it, from its own list."""
    peaks, buffers_in_peaks = [], []
    for device in program.devices:
        now = buffers = peak = buffers_in_peak = 0
        for row in (instruction.row for instruction in program.of_device(device)):
            now += row.alloc_bytes
            if row.kind == Kind.RECV:
                buffers += row.buffer_bytes
            if now > peak:
                peak, buffers_in_peak = now, buffers
            if row.kind != Kind.RECV:
                now -= row.free_bytes
                buffers += row.buffer_bytes
        assert now == buffers == 0, "everything that was taken is given back"
        peaks.append(peak)
        buffers_in_peaks.append(buffers_in_peak)
    return peaks, buffers_in_peaks


def some_program(seed: int) -> Program:
    made, workload, boards = any_case(seed)
    changed = made.model_copy(update={"sync": Sync(buckets=1 + seed % 5 // 2)})
    return lower(changed, workload, boards, Settings(overlap=seed % 3 > 0, prefetch=seed % 4))


@pytest.mark.parametrize("seed", range(60))
def test_compiled_walk_is_the_plain_one(seed: int) -> None:
    program = some_program(seed)
    found = simulate(program)
    start, end = plain_walk(program)
    assert found.start_s.tolist() == start
    assert found.end_s.tolist() == end
    peaks, buffers = plain_peaks(program)
    assert found.peak_bytes.tolist() == peaks
    assert found.buffer_bytes.tolist() == buffers


@pytest.mark.parametrize("seed", range(30))
def test_no_two_instructions_share_a_lane(seed: int) -> None:
    program = some_program(seed)
    found = simulate(program)
    spans: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for i in range(len(program)):
        for lane in program.rows[program.row[i]].lanes:
            spans[lane].append((found.start_s[i], found.end_s[i]))
    for lane in spans.values():
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(lane))


def with_durations(program: Program, durations: Any) -> Program:
    return replace(program, table=replace(program.table, duration_s=np.asarray(durations)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 200), st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_a_shorter_instruction_never_makes_the_makespan_longer(seed: int, which: int, factor: float) -> None:
    program = some_program(seed)
    durations = program.table.duration_s.copy()
    durations[which % len(durations)] *= factor
    assert simulate(with_durations(program, durations)).makespan_s <= simulate(program).makespan_s


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 200), st.integers(0, 5), st.floats(1.0, 100.0))
def test_a_faster_device_never_makes_the_makespan_longer(seed: int, which: int, factor: float) -> None:
    made, workload, boards = any_case(seed)
    plain = boards.model_dump()
    plain["devices"][which % len(boards.devices)]["flop_per_s"]["fp32"]["value"] *= factor
    faster = lower(made, workload, Cluster.model_validate(plain))
    before = simulate(lower(made, workload, boards)).makespan_s
    assert simulate(faster).makespan_s <= before * (1 + 1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 200), st.floats(1.0, 100.0))
def test_a_faster_network_never_makes_the_makespan_longer(seed: int, factor: float) -> None:
    made, workload, boards = any_case(seed)
    plain = boards.model_dump()
    for piece in (*plain["segments"], *plain["links"]):
        piece["bandwidth_bytes_per_s"] *= factor
    faster = lower(made, workload, Cluster.model_validate(plain))
    before = simulate(lower(made, workload, boards)).makespan_s
    assert simulate(faster).makespan_s <= before * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_scaling_all_times_scales_the_answer(seed: int) -> None:
    program = some_program(seed)
    longer = with_durations(program, 4 * program.table.duration_s)
    longer = replace(longer, releases=tuple((slot, 4 * seconds) for slot, seconds in program.releases))
    assert simulate(longer).end_s.tolist() == (4 * simulate(program).end_s).tolist()
