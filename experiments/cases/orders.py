"""The best plan for every order in which devices can stand along the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from solver.batch import PackedPlans
from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.program import Longs
from solver.report import Report
from solver.search.hybrid.exhaustive import allowed as keeps_data
from solver.search.hybrid.exhaustive import barred_before, make_scorer, offer_promising
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable
from solver.search.literature.group_tables import group_tables

Order = tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """The best plan that was found for an order of the devices.

    Parameters
    ----------
    order
        Devices, from the one with the first blocks to the one with the last.
    plan, report
        The plan and what it costs; ``None`` if no plan in this order keeps every limit.
    """

    order: Order
    plan: Plan | None
    report: Report | None

    @property
    def step_time_s(self) -> float:
        """Its step time; infinite where there is no plan."""
        return float("inf") if self.report is None else self.report.step_time_s


def pipelines(problem: Problem, orders: Iterable[Order] | None = None) -> Iterator[Placed]:
    """Yield the best pipeline of every order: each device a stage of its own, all cuts tried.

    Parameters
    ----------
    problem
        A chain that is trained, with a number of micro-batches; its objective says what is best.
    orders
        Orders of the usable devices; all of them if ``None``.

    Notes
    -----
    Exact: the batch scorer, which equals the evaluator, scores every cut; the evaluator judges the best.
    O(D! binomial(L - 1, D - 1)) plans for L blocks and D devices.
    """
    (count,) = problem.micro_batch_counts
    scorer, barred = make_scorer(problem, count), barred_before(problem)
    numbers = {device.name: i for i, device in enumerate(problem.cluster.devices)}
    ends = _ends(len(problem.workload.order), len(problem.usable))
    for order in permutations(problem.usable) if orders is None else orders:
        plans = _packed(ends, [numbers[name] for name in order], len(numbers), problem.job.batch // count)
        search = Search(problem)
        offer_promising(problem, search, scorer, plans, keeps_data(barred, plans))
        yield Placed(order, search.best_plan, search.best_report)


def _ends(num_blocks: int, num_stages: int) -> Longs:
    """Return every way to cut a chain: (cuts, num_stages), the block after the last of each stage."""
    inner = list(combinations(range(1, num_blocks), num_stages - 1))
    return np.array([(*cut, num_blocks) for cut in inner], np.int64)


def _packed(ends: Longs, order: Sequence[int], num_devices: int, samples: int) -> PackedPlans:
    size, num_stages = ends.shape
    shares = np.zeros((size, num_stages, num_devices), np.int64)
    shares[:, np.arange(num_stages), list(order)] = samples
    return PackedPlans(np.full(size, num_stages, np.int64), ends, shares)


def hybrids(problem: Problem, orders: Iterable[Order] | None = None) -> Iterator[Placed]:
    """Yield what Asteroid's dynamic programme plans in every order; groups are neighbours in it.

    Parameters
    ----------
    problem
        A chain that is trained, with a number of micro-batches.
    orders
        Orders of the usable devices; all of them if ``None``.

    Notes
    -----
    As in the solver ``asteroid``, which knows one order, most memory first: its own latency ranks plans, and
    the evaluator judges the first that keeps every limit.
    """
    tables = group_tables(problem)
    everyone = tuple(range(len(tables.devices)))
    number = {name: v for v, name in enumerate(tables.devices)}
    for order in permutations(tables.devices) if orders is None else orders:
        search = Search(problem)
        table = AsteroidTable(tables, [number[name] for name in order], [everyone], search)
        for found in table.found():
            search.offer(pipeline_plan(problem, table.stages(found), tables.num_micro_batches))
            if search.best_plan is not None:
                break
        yield Placed(tuple(order), search.best_plan, search.best_report)


def ruled(problem: Problem) -> dict[str, Order]:
    """Return the orders of simple rules by name; boards that are equal stay as the cluster lists them.

    Parameters
    ----------
    problem
        Its usable devices are ordered.
    """
    by_name, names = problem.cluster.by_name, problem.usable
    memory: Callable[[str], float] = lambda name: by_name[name].memory_bytes.value  # noqa: E731
    speed: Callable[[str], float] = lambda name: by_name[name].flop_per_s[problem.job.precision].value  # noqa: E731
    return {
        "memory_sorted": tuple(sorted(names, key=lambda name: -memory(name))),
        "fast_first": tuple(sorted(names, key=lambda name: -speed(name))),
        "slow_first": tuple(sorted(names, key=speed)),
        "as_listed": tuple(names),
    }
