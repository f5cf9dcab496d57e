"""Together: a plain plan in which a whole group takes part, for searches to begin from."""

from __future__ import annotations

from dataclasses import replace

from solver.layout import apportion
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.shares import chain_stages, even_cut, speeds, work_flop


def together(problem: Problem, group: frozenset[str]) -> Plan | None:
    """Return a plan in which every one of a group takes part; it may break limits.

    Parameters
    ----------
    problem
        What is decided.
    group
        Usable devices.

    Returns
    -------
    Plan or None
        One stage, samples in proportion to speed, one at least; where there are fewer samples than devices
        an even chain, one stage a device, the fastest first; ``None`` where there are fewer blocks too.
    """
    asked = replace(problem, participants=group)
    count = asked.micro_batch_counts[0]
    samples, names = problem.job.batch // count, asked.usable
    rate, order = speeds(asked, samples), problem.workload.order
    if samples >= len(names) and problem.job.kind == "train":
        more = apportion(rate, samples - len(names)) if samples > len(names) else {}
        shares = {name: 1 + more.get(name, 0) for name in names}
        return pipeline_plan(problem, [Stage(blocks=order, shares=dict(shares))], count)
    if len(order) < len(names) or not problem.workload.is_chain:
        return None
    fastest = sorted(names, key=lambda name: -rate[name])
    cuts = even_cut(work_flop(problem), len(names))
    return pipeline_plan(problem, chain_stages(problem, cuts, fastest, samples), count)
