"""Random plans: no Program deadlocks, and nothing in it happens out of turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan
from solver.program import COMPUTE, Kind, Program
from solver.report import Report
from tests.language.cases import block, cluster, device, plan, score, workload

DEVICES = ("d0", "d1", "d2", "d3")


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Two to six blocks, each after at least one earlier one or a source of its own."""
    num = draw(st.integers(2, 6))
    sizes = st.integers(0, 5)
    blocks = [
        block(f"b{i}", draw(sizes), draw(sizes), output_bytes=draw(sizes), kept_bytes=draw(sizes))
        for i in range(num)
    ]
    pairs = [(i, j) for j in range(1, num) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8))
    if not edges:
        edges = [(0, 1)]
    return workload(*blocks, edges=", ".join(f"b{i} b{j}" for i, j in edges))


@st.composite
def pipelines(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    """Intervals of a topological order, on devices that stages may share."""
    samples = draw(st.integers(1, 4))
    cuts = sorted(draw(st.sets(st.integers(1, len(names) - 1), max_size=len(names) - 1)))
    stages = []
    for start, end in zip([0, *cuts], [*cuts, len(names)], strict=True):
        group = draw(st.lists(st.sampled_from(DEVICES), unique=True, min_size=1, max_size=min(2, samples)))
        shares = {name: 1 for name in group}
        shares[group[0]] += samples - len(group)
        cap = draw(st.none() | st.integers(1, 6))
        stages.append({"blocks": list(names[start:end]), "shares": shares, "in_flight": cap})
    return {"micro_batches": draw(st.integers(1, 5)), "samples": samples, "stages": stages}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Plan, Workload, Cluster, dict[str, Any]]:
    tiny = draw(workloads())
    made = plan(
        *(draw(pipelines(tiny.order)) for _ in range(draw(st.integers(1, 2)))),
        schedule=draw(st.sampled_from(["1f1b", "gpipe"])),
        job={"frozen": draw(st.lists(st.sampled_from(tiny.order), unique=True, max_size=1))},
    )
    boards = cluster(
        *(device(name, draw(st.integers(1, 4))) for name in DEVICES),
        kind=draw(st.sampled_from(["switch", "shared"])),
        rate=draw(st.sampled_from([0.5, 1, 7])),
    )
    return made, tiny, boards, {"overlap": draw(st.booleans()), "prefetch": draw(st.integers(0, 3))}


def check_ends(report: Report) -> None:
    line = report.timeline
    assert np.all(np.isfinite(line.start_s)) and np.all(line.start_s >= 0)
    assert np.all(line.end_s >= line.start_s)


def check_mates(program: Program) -> None:
    """Every send has a receive of the same micro-batch at its peer, posted before it."""
    kinds = program.table.kind[program.row]
    sends, receives = np.flatnonzero(kinds == Kind.SEND), np.flatnonzero(kinds == Kind.RECV)
    assert sorted(program.mate[sends]) == sorted(receives)
    for i in sends:
        send, receive = program.instruction(i), program.instruction(program.mate[i])
        assert receive.mate == i and receive.index < i
        assert (send.row.device, send.row.peer) == (receive.row.peer, receive.row.device)
        assert (send.micro_batch, send.step) == (receive.micro_batch, receive.step)


def check_lanes(report: Report) -> None:
    """What occupies a lane follows one another, in the order of the Program."""
    free = np.zeros(len(report.program.lanes))
    for i in range(len(report.program)):
        for lane in report.program.rows[report.program.row[i]].lanes:
            assert report.timeline.start_s[i] >= free[lane] - 1e-9
            free[lane] = report.timeline.end_s[i]


def check_lists(report: Report) -> None:
    """A device computes in the order of its list, each forward before its backward."""
    for name in report.program.devices:
        last = 0.0
        seen: set[tuple[int, int, int]] = set()
        for item in report.program.of_device(name):
            if item.row.kind not in COMPUTE:
                continue
            assert report.timeline.start_s[item.index] >= last - 1e-9
            last = report.timeline.end_s[item.index]
            key = (item.row.pipeline, item.row.stage, item.micro_batch)
            if item.row.kind == Kind.FORWARD:
                seen.add(key)
            elif item.row.kind == Kind.BACKWARD:
                assert key in seen


def check_counts(made: Plan, tiny: Workload, report: Report) -> None:
    """Every device of a stage computes each of its micro-batches forward once."""
    forwards = [
        (item.row.pipeline, item.row.stage, item.row.device, item.micro_batch)
        for item in map(report.program.instruction, range(len(report.program)))
        if item.row.kind == Kind.FORWARD
    ]
    assert (
        len(forwards)
        == len(set(forwards))
        == sum(
            len(stage.shares) * pipeline.num_micro_batches
            for pipeline in made.pipelines
            for stage in pipeline.stages
        )
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_every_plan_runs_to_its_end_in_order(case: tuple[Plan, Workload, Cluster, dict[str, Any]]):
    made, tiny, boards, rules = case
    report = score(made, tiny, boards, **rules)
    check_ends(report)
    check_mates(report.program)
    check_lanes(report)
    check_lists(report)
    check_counts(made, tiny, report)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases())
def test_memory_is_given_back(case: tuple[Plan, Workload, Cluster, dict[str, Any]]):
    """At the end of a step nothing is held that was not there before."""
    made, tiny, boards, rules = case
    program = score(made, tiny, boards, **rules).program
    change = program.table.alloc_bytes - program.table.free_bytes
    held = np.zeros(len(program.devices), np.int64)
    np.add.at(held, program.table.device, change * program.counts)
    assert held.tolist() == [0] * len(program.devices)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases(), st.randoms(use_true_random=False))
def test_names_of_devices_mean_nothing(case: tuple[Plan, Workload, Cluster, dict[str, Any]], random: Any):
    """Another name for every device, in the same places, changes no figure."""
    made, tiny, boards, rules = case
    names = [f"z{i}" for i in range(4)]
    random.shuffle(names)
    other = dict(zip(DEVICES, names, strict=True))

    def renamed(document: Any) -> Any:
        if isinstance(document, dict):
            return {other.get(key, key): renamed(value) for key, value in document.items()}
        if isinstance(document, list | tuple):
            return [renamed(item) for item in document]
        return other.get(document, document) if isinstance(document, str) else document

    first = score(made, tiny, boards, **rules)
    second = score(
        Plan.model_validate(renamed(made.model_dump())),
        tiny,
        Cluster.model_validate(renamed(boards.model_dump())),
        **rules,
    )
    assert first.step_time_s == second.step_time_s
    assert first.energy_j == second.energy_j
    assert {(other[a], other[b]): size for (a, b), size in first.traffic.items()} == second.traffic
