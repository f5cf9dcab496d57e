"""best: an anytime portfolio that starts from the literature, improves, and proves; the default of plan.

First the textbook plans and the planners of the literature, each with a share of the time; then iterated
local search and population annealing over hybrid pipelines, a descent to a plan that no single move improves,
and exact searches with the best plan as cut-off; then searches with other seeds, in rounds. It stops when a
bound equals the score, when time is up, or after ``PATIENCE`` rounds without a better plan. Problems with
published cost rules or rules of placement go to the members made for them first. In the end the best plan,
and the best of each member, get the best rings; until then each device is joined to its nearest. Where power
modes are free all of that is done in chosen modes, and modes are searched around it: see
:mod:`solver.search.power.outer`.

Assumes nothing and never declines; members that cannot express a problem are skipped. Claim: never worse than
a member that ends within its share; OPTIMAL and bound are said of the stated space, hybrid pipelines with
stages in mode data where a member has a proof for them, else of the widest space that one has a proof for.
Under a work limit the same seed gives the same plan on every machine.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from solver.problem import Problem
from solver.search.batch_figures import has_limits
from solver.search.hybrid.first_bound import first_bound
from solver.search.incumbent import Interrupted, Search
from solver.search.membership import belongs
from solver.search.packed.polish import polish
from solver.search.portfolio import Member, Portfolio
from solver.search.power.outer import solve_free
from solver.search.rings import choose_rings, ring_rule
from solver.space import Space
from solver.status import Outcome

TEXTBOOK = tuple(
    Member(name, 0.05, least_s=0.5)
    for name in ("single", "pipeline_even", "data_parallel", "tensor_parallel", "sequence_parallel")
)
"""Plans that take no search: something to hold at once."""
BIG = 50_000
"""Blocks times devices beyond which a plan of all devices takes the evaluator seconds."""
COARSE = (
    *(Member("single", 0.02), Member("annealing", 0.5, knows_best=True)),
    Member("local_search", 0.5, knows_best=True),
)
"""What begins where a problem is big; the literature and proofs beyond the first bound are left out then."""
RULES = ("program", "piper", "pipedream")
PUBLISHED = tuple(Member(name, 1.0) for name in ("piper", "pipedream"))
"""For the published cost rules of those planners."""
PLACED = (
    *(Member(name, 0.8) for name in ("convex_dp", "assignment_search", "latency_search")),
    *(Member(name, 0.5, knows_best=True) for name in ("assignment_ilp", "assignment_cpsat")),
)
"""For rules of placement and transfers through a host."""
LITERATURE = (
    *(Member(name, 0.05) for name in ("gpipe", "eddl", "hetpipe", "pipedream")),
    *(Member("asteroid", 0.1), Member("asteroid_subsets", 0.2), Member("dapple", 0.05)),
    Member("asteroid_energy", 0.1),
)
"""Planners of hybrid pipelines."""
OTHERS = tuple(
    Member(name, 0.05)
    for name in ("edgeshard_latency", "edgeshard_throughput", "galaxy", "heft", "m_etf", "m_sct")
)
"""Of the literature, for chains of single devices, for services, and for graphs."""
FIRST_PROOF = Member("hybrid_exact", 0.1, 5.0, knows_best=True)
"""Enough where the space is small."""
ENERGY = Member("energy_exact", 0.2, 20.0, knows_best=True)
"""Chains of least energy, or carbon, where that is the objective."""
FIRST_SEARCHES = Member("local_search", 0.2, knows_best=True), Member("annealing", 0.3, knows_best=True)
PROOFS = tuple(Member(name, 0.7, 60.0, knows_best=True) for name in ("hybrid_exact", "group_columns"))
"""With a bound on all hybrid pipelines; the next one only if the one before has none."""
CHAINS = Member("bitmask_dp", 0.3, 20.0), Member("interval_ilp", 0.3, 20.0)
"""With a bound on chains of single devices, up to ``QUICK_DEVICES`` and beyond, where there is no other."""
QUICK_DEVICES = 10
ROUND = (
    Member("local_search", 0.4, 10.0, knows_best=True, least_s=2.0),
    Member("annealing", 0.5, 10.0, knows_best=True, least_s=2.0),
    Member("lns", 0.3, 5.0, knows_best=True, least_s=2.0),
    Member("genetic", 0.3, 5.0, knows_best=True, least_s=2.0),
)
PATIENCE = 2
"""Whole rounds of searches without a better plan after which it gives up."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Ask the members, improve, and prove.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    if problem.power_modes == "own":
        return _solve_own(problem, search)
    space = replace(_space(problem), power_modes=problem.power_modes)
    bound = first_bound(problem)
    if bound is not None:
        search.bound(bound, space)
    try:
        return solve_free(problem, search, _solve_own, space)
    except Interrupted as stop:
        return _outcome(search, space, str(stop))


def _space(problem: Problem) -> Space:
    """Return the hybrid pipelines that bounds are said of."""
    largest = 1 if problem.job.kind == "serve" else None
    rings = ring_rule(problem)
    return Space(("data",), largest, None, problem.micro_batch_counts, problem.in_flight, rings=rings)


def _solve_own(problem: Problem, search: Search) -> Outcome:
    """Solve on devices as they are."""
    space = _space(problem)
    portfolio = Portfolio(search)
    try:
        reason = _run(portfolio, problem, space)
    except Interrupted as stop:
        reason = str(stop)
    choose_rings(search, portfolio.plans.values())
    broken = [f"member {name} broke ({how})" for name, how in portfolio.broken.items()]
    return _outcome(search, space, "; ".join([reason, *broken]))


def _run(portfolio: Portfolio, problem: Problem, space: Space) -> str:
    """Return why the search ended by itself."""
    search = portfolio.search
    for member in _made_for(problem):
        if portfolio.run(member) and (member in PUBLISHED or portfolio.is_proven(_said_of(search, space))):
            return portfolio.ended.get(member.name, "")
    bound = first_bound(problem)
    if bound is not None:
        search.bound(bound, replace(space, rings="any"))
    if _is_big(problem):
        portfolio.run_all(COARSE)
        polish(problem, search)
    else:
        _start(portfolio, problem, space)
    return _go_on(portfolio, problem, space)


def _made_for(problem: Problem) -> tuple[Member, ...]:
    """Return the members that know the rules of a problem better than all others."""
    if problem.settings.rule != "program":
        return PUBLISHED
    return PLACED if problem.placement is not None or problem.settings.transfers == "host" else ()


def _start(portfolio: Portfolio, problem: Problem, space: Space) -> None:
    """Ask the literature, search, and prove."""
    portfolio.run_all((*TEXTBOOK, *LITERATURE))
    first = () if problem.workload.is_chain and problem.job.kind == "train" else OTHERS
    portfolio.run_all(first)
    polish(problem, portfolio.search)
    portfolio.run(FIRST_PROOF)
    portfolio.run(ENERGY)
    if not portfolio.is_proven(space):
        portfolio.run_all(FIRST_SEARCHES)
        polish(problem, portfolio.search)
        portfolio.run_all(OTHERS if not first else ())
        _prove(portfolio, problem, space)


def _is_big(problem: Problem) -> bool:
    return len(problem.workload.order) * len(problem.cluster.devices) > BIG


def _go_on(portfolio: Portfolio, problem: Problem, space: Space) -> str:
    """Search in rounds, and return why that ended."""
    waited, search = 0, portfolio.search
    for number in itertools.count(1):
        if portfolio.is_proven(space):
            return "no plan of the space is better, proven" if search.best_plan is not None else ""
        if waited == PATIENCE:
            break
        before, ended = search.best_score, True
        for member in ROUND:
            ended &= portfolio.run(member, seed=1000 * number) or member.name in portfolio.skipped
            polish(problem, search)
        if search.best_score < before * (1 - 1e-9):
            waited = 0
        elif ended:
            waited += 1
    return f"no better plan in {PATIENCE} rounds of searches; {_proofs_ended(portfolio)}"


def _prove(portfolio: Portfolio, problem: Problem, space: Space) -> None:
    """Look for a bound, first on all hybrid pipelines."""
    for member in PROOFS:
        portfolio.run(member)
        if member.name in portfolio.ended:
            break
    if portfolio.search.bound_of(space) is None:
        portfolio.run(CHAINS[len(problem.usable) > QUICK_DEVICES])


def _proofs_ended(portfolio: Portfolio) -> str:
    ended = [name for member in PROOFS if (name := member.name) in portfolio.ended]
    return f"proof by {', '.join(ended)} is over" if ended else "no proof ended"


def _said_of(search: Search, space: Space) -> Space:
    """Return what bound and optimality are said of: the whole space, or the widest bounded one with the plan.

    Notes
    -----
    The members made for a problem know its rules of placement; their spaces do not tell them.
    """
    widest, plan = search.widest_bound(), search.best_plan
    if widest is None or search.bound_of(space) is not None:
        return space
    holds = bool(_made_for(search.problem)) or plan is None or belongs(plan, widest.space, search.problem)
    return widest.space if holds else space


def _outcome(search: Search, space: Space, reason: str) -> Outcome:
    space = _said_of(search, space)
    bound = search.bound_of(space)
    if bound is not None and math.isinf(bound):
        infeasible = search.best_plan is None and _holds_for_all_rings(search, space)
        return Outcome(space, bound=None, infeasible=infeasible, reason=reason)
    return Outcome(space, bound=bound, reason=reason)


def _holds_for_all_rings(search: Search, space: Space) -> bool:
    """Return whether no plan keeps every limit whatever its rings: they make no difference to memory."""
    if space.rings == "any" or not has_limits(search.problem):
        return True
    return search.bound_of(replace(space, rings="any")) == math.inf
