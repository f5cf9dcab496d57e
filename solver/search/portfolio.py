"""Portfolio: other solvers as members of a search, each with its part of the time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from solver.errors import DeclinedError, InputError, InternalError
from solver.plan import Plan
from solver.search.incumbent import Interrupted, Search
from solver.space import Space

TOLERANCE = 1e-9
"""Relative difference at which a bound counts as equal to a score."""


@dataclass(frozen=True)
class Member:
    """Another solver, and what it gets.

    Parameters
    ----------
    name
        Name in the catalogue; one that is not there is skipped.
    share
        Its part of the time, or of the work, that is left when its turn comes.
    most_s, least_s
        Most and least seconds where there is no work limit.
    knows_best
        Whether it begins with the best plan so far, as searches and proofs do.
    """

    name: str
    share: float = 0.1
    most_s: float = math.inf
    knows_best: bool = False
    least_s: float = 0.0

    def share_of(self, remaining_s: float) -> float:
        """Return its share where so many seconds are left."""
        return min(1.0, max(self.share, self.least_s / max(remaining_s, 1e-9)))


@dataclass
class Portfolio:
    """Members under way.

    Parameters
    ----------
    search
        What they are parts of.
    ended
        Why members ended that ended by themselves, by name.
    skipped
        Members that declined, broke, or are not there.
    broken
        How members broke, by name.
    plans
        The best plan that each member held in the end, by name.
    """

    search: Search
    ended: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)

    def run_all(self, members: Iterable[Member]) -> None:
        """Run members in turn.

        Parameters
        ----------
        members
            In their order.

        Raises
        ------
        Interrupted
            When the whole search is over.
        """
        for member in members:
            self.run(member)

    def run(self, member: Member, seed: int = 0) -> bool:
        """Run a member; what it finds and proves counts at once.

        Parameters
        ----------
        member
            Which.
        seed
            Added to the seed.

        Returns
        -------
        bool
            Whether it ended by itself, or had the most seconds that it may have.

        Raises
        ------
        Interrupted
            When the whole search is over.
        """
        search = self.search
        search.tick(0)
        if search.call is None or member.name in self.skipped:
            return False
        share = member.share if search.work_limit is not None else member.share_of(search.remaining_s)
        part = search.part(share, most_s=member.most_s, knows_best=member.knows_best, seed=seed)
        try:
            outcome = search.call(member.name, part)
        except (DeclinedError, InputError):  # it cannot, or is not there: the others go on
            self.skipped.add(member.name)
            return False
        except Interrupted:
            outcome = None
        except InternalError:  # a bound above a score: nothing here can be trusted any more
            raise
        except Exception as error:  # what breaks one member takes nothing from the others; the answer says so
            self.skipped.add(member.name)
            self.broken[member.name] = f"{type(error).__name__}: {error}"
            return False
        if part.best_plan is not None:
            self.plans[member.name] = part.best_plan
        search.tick(0)
        if outcome is None or part.stop(part.work) is not None:
            return search.work_limit is None and part.time_limit_s >= member.most_s
        self.ended[member.name] = outcome.reason
        return True

    def is_proven(self, space: Space) -> bool:
        """Return whether no plan of a space is better than the best one, or none keeps every limit.

        Parameters
        ----------
        space
            What is looked among.
        """
        bound, score = self.search.bound_of(space), self.search.best_score
        if bound is None or self.search.best_plan is None:
            return bound == math.inf
        return bound >= score - TOLERANCE * abs(score)
