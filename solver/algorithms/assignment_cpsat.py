"""assignment_cpsat: exact splits of a DAG by their largest load, with and without the rule of contiguity.

Source: the assignment programme of Tarnawski et al., "Efficient algorithms for device placement of DNN graph
operators", NeurIPS 2020, arXiv 2006.16423, section 5, in CP-SAT; see
:mod:`solver.formulations.assignment_cp` for how whole numbers stay valid for the evaluator's figure.

Assumes transfers through the host and memory of weights alone; declines other problems, and latency. Claim:
exact; with too little time a plan and a valid bound.
"""

from __future__ import annotations

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.splits.first_splits import first_split
from solver.search.splits.host_graph import host_graph
from solver.search.splits.load_graph import even_bound_s, load_graph
from solver.search.splits.load_proof import prove
from solver.space import Space
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Ask CP-SAT for splits until none is better.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    host = host_graph(problem)
    if problem.objective != "bottleneck":
        raise DeclinedError(f"for the largest load (bottleneck), not for {problem.objective}")
    if host.apart.any():
        raise DeclinedError("devices that stand for many have no load")
    space = Space(stages_per_device=len(host.names))
    floor_s = even_bound_s(load_graph(host))
    split = first_split(host, search.rng)
    if split is not None:
        search.offer(host.plan(split))
    try:
        proof = prove(host, split, search, floor_s=floor_s)
    except Interrupted as stop:
        return Outcome(space, bound=floor_s or None, reason=str(stop))
    if proof.finished and proof.split is None:
        return Outcome(space, infeasible=True, reason="no split keeps memory and every rule of placement")
    reason = "none is better" if proof.finished else "time is up"
    return Outcome(space, bound=proof.bound_s or None, reason=reason)
