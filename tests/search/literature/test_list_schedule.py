"""List scheduling: the published example of HEFT, and graphs of three blocks by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from models.workload import Workload
from solver.formulations.favourite_child import favourite_children
from solver.job import Job
from solver.problem import Problem
from solver.search.literature.block_tables import BlockTables
from solver.search.literature.list_schedule import earliest_finish, earliest_start, upward_ranks
from solver.search.placement import convex_groups

# Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002: figure 2 (graph, messages, times on three processors),
# table 3 (upward ranks) and figure 3 (a) (schedule, makespan 80).
TIMES = {
    1: (14, 16, 9),
    2: (13, 19, 18),
    3: (11, 13, 19),
    4: (13, 8, 17),
    5: (12, 13, 10),
    6: (13, 16, 9),
    7: (7, 15, 11),
    8: (5, 11, 14),
    9: (18, 12, 20),
    10: (21, 7, 16),
}
MESSAGES = {
    (1, 2): 18,
    (1, 3): 12,
    (1, 4): 9,
    (1, 5): 11,
    (1, 6): 14,
    (2, 8): 19,
    (2, 9): 16,
    (3, 7): 23,
    (4, 8): 27,
    (4, 9): 23,
    (5, 9): 13,
    (6, 8): 15,
    (7, 10): 17,
    (8, 10): 11,
    (9, 10): 13,
}
RANKS = (108.000, 77.000, 80.000, 80.000, 69.000, 63.333, 42.667, 35.667, 44.333, 14.667)


def graph(
    times: dict[int, tuple[int, ...]], messages: dict[tuple[int, int], int], memory: float = 1e9, **words: Any
) -> BlockTables:
    """Times are seconds on kinds of devices; a byte takes a second; all messages of a block share a size."""
    largest = {i: max([size for (a, _), size in messages.items() if a == i], default=1) for i in times}
    blocks = [{"name": f"t{i}", "forward_flop": 1, "output_bytes": largest[i], **words} for i in times]
    edges = [
        {"source": f"t{a}", "target": f"t{b}", "share": size / largest[a]}
        for (a, b), size in messages.items()
    ]
    num = len(next(iter(times.values())))
    profiles = {
        f"k{d}": {
            f"t{i}": {"samples": [1], "forward_s": [row[d]], "backward_s": [0]} for i, row in times.items()
        }
        for d in range(num)
    }
    devices = [
        {"name": f"p{d + 1}", "kind": f"k{d}", "flop_per_s": {"fp32": 1}, "memory_bytes": memory}
        for d in range(num)
    ]
    net = {"name": "net", "members": [f"p{d + 1}" for d in range(num)], "bandwidth_bytes_per_s": 1}
    workload = Workload.model_validate(
        {"name": "graph", "blocks": blocks, "edges": edges, "profiles": profiles}
    )
    cluster = Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})
    return BlockTables(Problem(workload, cluster, Job(kind="serve", batch=1), "latency"), 1)


def by_block(tables: BlockTables, values: list[int]) -> dict[str, int]:
    return {name: values[i] for name, i in tables.place.items()}


def test_the_published_example_of_heft() -> None:
    tables = graph(TIMES, MESSAGES)
    ranks = upward_ranks(tables)
    found = [float(ranks[tables.place[f"t{i}"]]) for i in TIMES]
    assert found == pytest.approx(RANKS, abs=6e-4)
    devices, ends = earliest_finish(tables)
    assert max(ends) == pytest.approx(80)
    processors = {name: tables.devices[v] for name, v in by_block(tables, devices).items()}
    assert [processors[f"t{i}"][1:] for i in TIMES] == [*"3132323122"]


def test_earliest_task_first_takes_who_can_start_first() -> None:
    """t1 goes to p1 (the first); at 2 s t2 starts there at once; t3 reads 1 byte: on p2 at 3 s, p1 at 7 s."""
    tables = graph({1: (2, 2), 2: (5, 5), 3: (5, 5)}, {(1, 2): 1, (1, 3): 1})
    assert earliest_start(tables, np.zeros(3, np.int64)) == [0, 0, 1]


def test_memory_sends_blocks_elsewhere_and_runs_out() -> None:
    tables = graph({1: (1, 1), 2: (1, 1), 3: (1, 1)}, {(1, 2): 9, (2, 3): 9}, memory=20)
    assert earliest_start(tables, np.array([10, 10, 10])) == [0, 0, 1]
    assert earliest_start(tables, np.array([11, 11, 11])) is None


def test_a_device_waits_for_the_favourite() -> None:
    """t1 writes much for t3 and little for t2. By start alone t2, first, takes p1. Kept for t3, p1 has t3."""
    tables = graph({1: (1, 1), 2: (4, 4), 3: (4, 4)}, {(1, 2): 1, (1, 3): 20})
    assert favourite_children(tables) == {0: 2}
    none = np.zeros(3, np.int64)
    assert earliest_start(tables, none) == [0, 0, 0]
    assert earliest_start(tables, none, favourite_children(tables)) == [0, 1, 0]


def test_blocks_of_a_device_that_wait_for_another_are_two_stages() -> None:
    """A chain t1 t2 t3 with t2 elsewhere: t1 and t3 cannot be one stage; a fork's two ends can."""
    chain = graph({1: (1, 1), 2: (1, 1), 3: (1, 1)}, {(1, 2): 1, (2, 3): 1}).problem
    assert convex_groups(chain, ["p1", "p2", "p1"]) == [("t1",), ("t2",), ("t3",)]
    fork = graph({1: (1, 1), 2: (1, 1), 3: (1, 1)}, {(1, 2): 1, (1, 3): 1}).problem
    assert convex_groups(fork, ["p1", "p2", "p1"]) == [("t1", "t3"), ("t2",)]
