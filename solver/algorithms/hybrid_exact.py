"""hybrid_exact: proofs for hybrid pipelines: stages of any groups of devices, with any shares of samples.

Small spaces are searched exhaustively: every choice of groups, order, cuts and shares (and caps, where they
are free) is scored by the batch scorer. In larger ones branch and bound over groups, their order and cuts
leaves few pipelines, and the shares of these are all scored. Its bounds are ours
(:mod:`solver.search.hybrid.bound_tables` says why they hold); cut-offs, from the best plan known downwards,
make it anytime: an attempt that ends proves its cut-off.

Assumes a chain that is trained in one pipeline with stages in mode data and a ring in every step. Declines
everything else, and the objective latency; objectives other than time are proven in small spaces only; time,
bottleneck, energy and carbon are bounded by all work on all devices elsewhere. With more than 10 devices, or
too many blocks, the bound on time is the largest cut-off that prices on devices refute
(:mod:`solver.search.hybrid.priced_bound`). Claim: exact where it ends; otherwise its bound holds for the
space it states: every subset, order and grouping of devices, all cuts, all whole shares. Where rings differ
the space has only those that join each device to its nearest.
"""

from __future__ import annotations

from contextlib import suppress

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.batch_figures import SCORED, asked_of, has_limits
from solver.search.chains.chain import decline_unless_chain
from solver.search.hybrid.bound_quick import quick_bounds
from solver.search.hybrid.exhaustive import best_of_all, make_scorer, space_size
from solver.search.hybrid.proof import Proof
from solver.search.incumbent import Interrupted, Search
from solver.search.rings import ring_rule
from solver.space import Space
from solver.status import Outcome

FIRST = ("single", "pipeline_even", "data_parallel")
"""Who is asked for a plan to begin with."""
MOST_ASKED = 5_000
"""Devices times blocks up to which they are quick."""
MOST_PLANS = 300_000
"""Spaces up to so many plans are searched exhaustively."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Prove how good a hybrid plan can be, and find the best where the space is small.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it; the best plan so far is the cut-off.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    decline_unless_chain(problem)
    unknown = sorted(asked_of(problem) - set(SCORED))
    if unknown:
        raise DeclinedError(f"hybrid_exact has no proofs for {', '.join(unknown)}; use best")
    counts = problem.micro_batch_counts
    space = Space(
        ("data",), None, num_micro_batches=counts, in_flight=problem.in_flight, rings=ring_rule(problem)
    )
    sizes = {count: space_size(problem, count) for count in counts}
    make_scorer(problem, counts[0])
    if sum(sizes.values()) <= MOST_PLANS:
        try:
            for count in reversed(counts):
                best_of_all(problem, search, count)
            return _proven(search, space)
        except Interrupted as stop:
            return Outcome(space, bound=_quick(problem, search), reason=str(stop))
    if problem.objective != "time":
        return Outcome(space, bound=_quick(problem, search), reason="the space is too large for a proof")
    proof = Proof(problem, search)
    try:
        _first_plans(search)
        reason = proof.run()
    except Interrupted as stop:
        reason = str(stop)
    if proof.is_closed and search.best_plan is None:
        return Outcome(space, infeasible=True, reason=_why(search, "covered"))
    return Outcome(space, bound=proof.bound, reason=reason)


def _quick(problem: Problem, search: Search) -> float | None:
    """Return the bound that needs no search; never above the best plan."""
    found = [quick_bounds(problem, count).get(problem.objective) for count in problem.micro_batch_counts]
    least = [bound for bound in found if bound is not None]
    return min([search.best_score, *least]) if len(least) == len(found) else None


def _first_plans(search: Search) -> None:
    """Ask the quick solvers for a cut-off, where there is none and they are quick."""
    size = len(search.problem.usable) * len(search.problem.workload.order)
    if search.call is None or search.best_plan is not None or size > MOST_ASKED:
        return
    for name in FIRST:
        with suppress(DeclinedError):
            search.call(name, search)


def _proven(search: Search, space: Space) -> Outcome:
    if search.best_plan is None:
        return Outcome(space, infeasible=True, reason=_why(search, "looked at"))
    return Outcome(space, bound=search.best_score, reason="all plans of the space were looked at")


def _why(search: Search, how: str) -> str:
    """Say which limits leave no plan, as far as the nearest one tells."""
    limited = has_limits(search.problem)
    kept = "keeps memory and every other limit" if limited else "fits into memory"
    nearest = search.nearest
    told = "" if nearest is None else "; ".join(violation.message for violation in nearest.violations)
    which = "no hybrid plan of all participants" if search.problem.all_take_part else "no hybrid plan"
    return f"{which} {kept}, all were {how}" + (f"; the nearest: {told}" if told else "")
