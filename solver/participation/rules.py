"""Rules: ways to choose who takes part, each a small function with a name, found in one table.

A rule sees the evaluator's figures of groups through :class:`Coalitions` and returns a group, or ``None``
where it has none. What a group is worth is the best plan known in which every one of it takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from models.errors import Fault, InputError
from solver.participation.coalitions import Coalitions
from solver.participation.kinds import Counts
from solver.search.shares import speeds

Rule = Callable[[Coalitions], Counts | None]


def _score(coalitions: Coalitions, counts: Counts) -> float:
    found = coalitions.of_all(counts)
    return math.inf if found is None else found.score


def _best(coalitions: Coalitions, groups: Iterable[Counts]) -> Counts | None:
    """Return the group with the best plan, the first of equal ones; ``None`` if none has one."""
    listed = list(dict.fromkeys(groups))
    best = min(listed, key=lambda counts: _score(coalitions, counts), default=None)
    return None if best is None or math.isinf(_score(coalitions, best)) else best


def everybody(coalitions: Coalitions) -> Counts:
    """Take every device that can compute."""
    return coalitions.size


def single(coalitions: Coalitions) -> Counts | None:
    """Take the best single device."""
    return _best(coalitions, (coalitions.counts([name]) for name in coalitions.problem.usable))


def by_speed(coalitions: Coalitions) -> list[str]:
    """Return the devices, fastest first."""
    rate = speeds(coalitions.problem, 1)
    return sorted(rate, key=lambda name: -rate[name])


def by_memory(coalitions: Coalitions) -> list[str]:
    """Return the devices, those with most memory first."""
    cluster = coalitions.problem.cluster
    return sorted(coalitions.problem.usable, key=lambda name: -cluster.by_name[name].memory_bytes.value)


def _prefixes(coalitions: Coalitions, order: Sequence[str]) -> Counts | None:
    return _best(coalitions, (coalitions.counts(order[:k]) for k in range(1, len(order) + 1)))


def fastest(coalitions: Coalitions) -> Counts | None:
    """Take the k fastest, with the best k."""
    return _prefixes(coalitions, by_speed(coalitions))


def most_memory(coalitions: Coalitions) -> Counts | None:
    """Take the k devices with most memory, with the best k."""
    return _prefixes(coalitions, by_memory(coalitions))


def _one_more(counts: Counts, size: Counts) -> Iterable[Counts]:
    for k, (num, most) in enumerate(zip(counts, size, strict=True)):
        if num < most:
            yield (*counts[:k], num + 1, *counts[k + 1 :])


def _one_less(counts: Counts) -> Iterable[Counts]:
    for k, num in enumerate(counts):
        if num and sum(counts) > 1:
            yield (*counts[:k], num - 1, *counts[k + 1 :])


def _descend(
    coalitions: Coalitions, counts: Counts, near: Callable[[Counts], Iterable[Counts]]
) -> Counts | None:
    """Go to the best group nearby until none is better."""
    while True:
        best = _best(coalitions, near(counts))
        if best is None or _score(coalitions, best) >= _score(coalitions, counts):
            return None if math.isinf(_score(coalitions, counts)) else counts
        counts = best


def add(coalitions: Coalitions) -> Counts | None:
    """Begin with the best single device, or as many as it takes; add the one that helps most, and so on."""
    order = by_memory(coalitions)
    begin = single(coalitions)
    for k in range(2, len(order) + 1):
        begin = begin or _best(coalitions, [coalitions.counts(order[:k])])
    return begin and _descend(coalitions, begin, lambda counts: _one_more(counts, coalitions.size))


def drop(coalitions: Coalitions) -> Counts | None:
    """Begin with all, leave out the one whose leaving helps most, and so on."""
    return _descend(coalitions, coalitions.size, _one_less)


def swap(coalitions: Coalitions) -> Counts | None:
    """Local search: from the best of ``add`` and ``drop``, add, leave out or exchange one."""
    begins = [counts for rule in (add, drop, fastest) if (counts := rule(coalitions)) is not None]
    begin = _best(coalitions, begins)

    def near(counts: Counts) -> Iterable[Counts]:
        yield from _one_more(counts, coalitions.size)
        yield from _one_less(counts)
        for less in _one_less(counts):
            yield from (other for other in _one_more(less, coalitions.size) if other != counts)

    return begin and _descend(coalitions, begin, near)


def exact(coalitions: Coalitions) -> Counts | None:
    """Take the best group of all, every one planned for; beyond 10 devices that of ``swap``.

    Notes
    -----
    Then the planner looks at all devices at once from the best plan known, and the literature chooses too:
    what they find counts, so no rule is better.
    """
    if coalitions.is_small:
        coalitions.every_group()
    else:
        swap(coalitions)
    for name in LITERATURE:
        coalitions.from_solver(name)
    best = coalitions.of_some(coalitions.size)
    return None if best is None else coalitions.counts(best.participants)


def _of_solver(name: str) -> Rule:
    def rule(coalitions: Coalitions) -> Counts | None:
        found = coalitions.from_solver(name)
        return None if found is None else coalitions.counts(found.participants)

    rule.__doc__ = f"Take the devices of the plan that the solver {name} makes for the whole cluster."
    return rule


LITERATURE = ("asteroid", "asteroid_subsets", "dapple")
"""Planners of the literature that choose participants as they plan, or use all."""
RULES: dict[str, Rule] = {
    "all": everybody,
    "single": single,
    "fastest": fastest,
    "most_memory": most_memory,
    "add": add,
    "drop": drop,
    **{name: _of_solver(name) for name in LITERATURE},
    "swap": swap,
    "exact": exact,
}
"""Rules by name; the last one is never worse than the others."""


def rule_of(name: str) -> Rule:
    """Return a rule by its name; ``fastest_3`` and ``most_memory_3`` take three devices.

    Parameters
    ----------
    name
        A key of ``RULES``, or a prefix rule with a number.

    Raises
    ------
    InputError
        If there is no such rule.
    """
    if name in RULES:
        return RULES[name]
    stem, _, number = name.rpartition("_")
    orders = {"fastest": by_speed, "most_memory": by_memory}
    if stem in orders and number.isdecimal() and int(number) > 0:
        return lambda coalitions: coalitions.counts(orders[stem](coalitions)[: int(number)])
    known = ", ".join([*RULES, "fastest_K", "most_memory_K"])
    raise InputError([Fault("rule", f"no rule is called {name!r}; there are: {known}")], "participants")
