"""Choice: who takes part by a rule, beside what other rules choose and what each device would change."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from solver.participation.coalitions import Coalitions, Found
from solver.participation.kinds import Counts
from solver.participation.rules import RULES, rule_of

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Chosen:
    """What a rule chooses.

    Parameters
    ----------
    rule
        Its name.
    group
        Who takes part, in the order of the cluster; empty where the rule has no answer.
    found
        The best plan known of them all; ``None`` where none keeps every limit.
    """

    rule: str
    group: tuple[str, ...]
    found: Found | None


@dataclass(frozen=True)
class Change:
    """What one device changes.

    Parameters
    ----------
    device
        Its name; equal devices that are left out, or in, change the same.
    takes_part
        Whether it is among the chosen; then the change is that of leaving it out.
    found
        The best plan known of the group with the change; ``None`` where none keeps every limit.
    """

    device: str
    takes_part: bool
    found: Found | None


@dataclass(frozen=True)
class Choice:
    """Who takes part.

    Parameters
    ----------
    chosen
        By the rule that was asked for.
    compared
        By every rule, the chosen one included.
    changes
        What each other device would change by taking part, and each chosen one by leaving.
    num_groups
        Groups that were planned for.
    was_stopped
        Whether time ran out: the choice is the best by then; rules that were not done are not compared, and
        changes that were not planned for are not told.
    """

    chosen: Chosen
    compared: tuple[Chosen, ...]
    changes: tuple[Change, ...]
    num_groups: int
    was_stopped: bool = False


def choose(
    coalitions: Coalitions,
    rule: str = "exact",
    compared: Sequence[str] = (),
    progress: Progress | None = None,
) -> Choice:
    """Choose who takes part.

    Parameters
    ----------
    coalitions
        Groups, and who plans for them.
    rule
        Whose choice counts.
    compared
        Rules whose choices are shown beside it; see :func:`compare_all`.
    progress
        Told what is being done.

    Raises
    ------
    InputError
        If there is no such rule.
    """
    names = list(dict.fromkeys([*compared, rule]))
    functions = {name: rule_of(name) for name in names}
    groups: dict[str, Counts | None] = {}
    limited, undone = math.isfinite(coalitions.time_limit_s), set[str]()
    # The exact rule is last: it knows all that the others found. Where time may run out, the asked one is
    # first of the others.
    for name in sorted(names, key=lambda name: (name == "exact", limited and name != rule)):
        _tell(coalitions, f"rule {name}", progress)
        groups[name] = functions[name](coalitions)
        undone |= {name} if coalitions.was_stopped else set()
    found = {name: None if counts is None else coalitions.of_all(counts) for name, counts in groups.items()}
    listed = {
        name: Chosen(name, _names(coalitions, groups[name]), found[name])
        for name in names
        if name == rule or name not in undone
    }
    changes: tuple[Change, ...] = ()
    if found[rule] is not None:
        _tell(coalitions, "what each device changes", progress)
        changes = tuple(_changes(coalitions, listed[rule].group))
    num = len(coalitions.asked)
    return Choice(listed[rule], tuple(listed.values()), changes, num, coalitions.was_stopped)


def _tell(coalitions: Coalitions, doing: str, progress: Progress | None) -> None:
    """Tell what is done from now on, and before every group how many there were, of how many."""
    if progress is None:
        return

    def told(num: int, most: int) -> None:
        progress(
            f"{doing}, group {num} of at most {most}" if coalitions.is_small else f"{doing}, group {num}"
        )

    progress(doing)
    coalitions.told = told


def compare_all() -> tuple[str, ...]:
    """Return the names of all rules."""
    return tuple(RULES)


def _names(coalitions: Coalitions, counts: Counts | None) -> tuple[str, ...]:
    group = frozenset[str]() if counts is None else coalitions.group(counts)
    return tuple(name for name in coalitions.problem.usable if name in group)


def _changes(coalitions: Coalitions, group: tuple[str, ...]) -> list[Change]:
    """Return what one device more, or less, makes of a group."""
    found = []
    for name in coalitions.problem.usable:
        takes_part = name in group
        others = [one for one in group if one != name] if takes_part else [*group, name]
        counts = coalitions.counts(others)
        plan = coalitions.of_all(counts) if others else None
        if plan is None and others and (counts, True) not in coalitions.asked:
            continue  # time ran out before anybody looked
        found.append(Change(name, takes_part, plan))
    return found
