"""The best order of passes and messages: against every order, and as the simulator walks it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from solver.errors import DeclinedError
from solver.formulations.micro_batch_order import OrderModel, best_order
from solver.lowering import lower
from solver.program import Kind, Program
from solver.simulate import simulate
from tests import random_plans


def two_stages(seed: int, num_micro_batches: int) -> Program:
    """Two stages of one device each, with costs drawn at random."""
    rng = np.random.default_rng(seed)
    workload, cluster = random_plans.chain(rng, 4), random_plans.cluster(rng, 2)
    while any(segment.kind == "shared" for segment in cluster.segments):
        cluster = random_plans.cluster(rng, 2)  # on a medium, messages of both ways would have an order too
    names = [device.name for device in cluster.devices]
    stages = [
        {"blocks": ["b0", "b1"], "shares": {names[0]: 2}, "in_flight": 2 + seed % 2},
        {"blocks": ["b2", "b3"], "shares": {names[1]: 2}, "in_flight": 1 + seed % 3 % 2},
    ]
    line = {"micro_batches": num_micro_batches, "samples": 2, "stages": stages}
    plan = random_plans.plan([line], random_plans.job(rng, 2 * num_micro_batches))
    return lower(plan, workload, cluster)


def every_order(program: Program) -> float:
    """Shortest step over all interleavings of forwards and backwards that keep the number in flight."""
    model = OrderModel(program)
    rows = [program.rows[r] for r in program.row]
    devices = list(model.in_flight)
    count = 1 + max(k for _, _, k in model.passes)
    best = np.inf
    lines = {d: list(interleavings(count, model.in_flight[d])) for d in devices}
    for first in lines[devices[0]]:
        for second in lines[devices[1]]:
            order = []
            todo = {devices[0]: list(first), devices[1]: list(second)}
            done: set[int] = set()
            while any(todo.values()):
                for device in devices:
                    if todo[device] and ready(model, device, todo[device][0], devices, done):
                        phase, k = todo[device].pop(0)
                        i = model.passes[device, phase, k]
                        done.add(i)
                        order.append(i)
                        break
                else:
                    break
            else:
                best = min(best, simulate(listed(program, model, order, rows)).makespan_s)
    return best


def interleavings(count: int, cap: int) -> list[list[tuple[str, int]]]:
    found = []
    for places in combinations(range(2 * count), count):
        line, forwards, backwards = [], 0, 0
        for n in range(2 * count):
            if n in places:
                line.append(("forward", forwards))
                forwards += 1
            else:
                line.append(("backward", backwards))
                backwards += 1
            if not 0 <= forwards - backwards <= cap:
                break
        else:
            found.append(line)
    return found


def ready(model: OrderModel, device: str, item: tuple[str, int], devices: list[str], done: set[int]) -> bool:
    phase, k = item
    if phase == "forward":
        return device == devices[0] or model.passes[devices[0], "forward", k] in done
    other = [devices[1]] if device == devices[0] else []
    needed = [(d, "backward", k) for d in other] + [(device, "forward", k)]
    return all(model.passes[key] in done for key in needed)


def listed(program: Program, model: OrderModel, order: list[int], rows: list) -> Program:
    """The list in which all receives come first, every send right after its pass, and the tail last."""
    sends = {
        model.passes[row.device, row.phase, int(program.micro_batch[i])]: i
        for i, row in enumerate(rows)
        if row.kind == Kind.SEND and row.phase in ("forward", "backward")
    }
    receives = [i for i, row in enumerate(rows) if row.kind == Kind.RECV and row.phase != "sync"]
    whole = [*receives, *(j for i in order for j in ([i, sends[i]] if i in sends else [i]))]
    numbers = np.array([*whole, *sorted(set(range(len(program))) - set(whole))])
    place = np.empty(len(numbers), np.int64)
    place[numbers] = np.arange(len(numbers))
    mate = program.mate[numbers]
    return Program(
        **{
            **{name: getattr(program, name) for name in program.__dataclass_fields__},
            "row": program.row[numbers],
            "micro_batch": program.micro_batch[numbers],
            "slot": program.slot[numbers],
            "mate": np.where(mate >= 0, place[mate], -1).astype(np.int32),
        }
    )


@pytest.mark.parametrize("seed", range(8))
def test_best_of_every_order(seed: int) -> None:
    program = two_stages(seed, 3)
    found = best_order(program, 20)
    expected = every_order(program)
    assert found.proven
    assert found.best_s == pytest.approx(expected, rel=1e-6)
    assert found.bound_s <= expected * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_order_is_what_the_simulator_walks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    workload, cluster = random_plans.chain(rng, 6), random_plans.cluster(rng, 4)
    line = random_plans.pipeline(rng, 6, [device.name for device in cluster.devices], 4, 6)
    program = lower(random_plans.plan([line], random_plans.job(rng, 24)), workload, cluster)
    found = best_order(program, 10)
    assert simulate(found.program).makespan_s == found.best_s
    assert found.bound_s <= found.best_s <= found.rule_s == simulate(program).makespan_s
    assert np.array_equal(np.sort(found.program.row), np.sort(program.row))
    mates = found.program.mate
    assert all(mates[mates[i]] == i for i in np.flatnonzero(mates >= 0))


def test_invert_of_the_rule_is_the_rule() -> None:
    program = two_stages(3, 4)
    model = OrderModel(program)
    assert simulate(model.invert(model.rule.start_s)).makespan_s == pytest.approx(model.rule.makespan_s)


def test_declines_several_stages_on_a_device() -> None:
    rng = np.random.default_rng(0)
    workload, cluster = random_plans.chain(rng, 3), random_plans.cluster(rng, 2)
    a, b = (device.name for device in cluster.devices)
    stages = [{"blocks": [f"b{i}"], "shares": {[a, b, a][i]: 2}} for i in range(3)]
    line = {"micro_batches": 2, "samples": 2, "stages": stages}
    program = lower(random_plans.plan([line], random_plans.job(rng, 4)), workload, cluster)
    with pytest.raises(DeclinedError, match="several stages"):
        best_order(program)


def test_declines_passes_in_parts() -> None:
    rng = np.random.default_rng(0)
    workload, cluster = random_plans.chain(rng, 3), random_plans.cluster(rng, 2)
    a, b = (device.name for device in cluster.devices)
    line = {"micro_batches": 2, "samples": 2, "stages": [{"blocks": workload.order, "shares": {a: 1, b: 1}}]}
    made = random_plans.plan([line], random_plans.job(rng, 4), sync={"buckets": 2})
    with pytest.raises(DeclinedError, match="in parts"):
        best_order(lower(made, workload, cluster))
