"""Instructions simulated in a second, memory and energy included, from a thousand to a million."""

from __future__ import annotations

from dataclasses import replace

from experiments.figures import Figure, median_s
from experiments.figures._pipelines import boards, chain, hybrid
from experiments.figures._plain_walk import plain_walk
from solver.lowering import lower
from solver.report import make_report
from solver.simulate import simulate

SIZES = (10**3, 10**4, 10**5, 10**6)


def measure() -> Figure:
    """The slower of the rates at 10^5 and 10^6; the report adds energy and traffic up anew in every run."""
    workload, cluster = chain(24), boards(8)
    small, more = (len(lower(hybrid(count), workload, cluster)) for count in (10, 20))
    rates, walks, plain = {}, {}, {}
    for size in SIZES:
        plan = hybrid(max(1, 10 * size // (more - small)))
        program = lower(plan, workload, cluster)
        found = simulate(program)
        makespan, peaks = plain_walk(program)
        assert found.makespan_s == makespan and found.peak_bytes.tolist() == peaks

        def whole(plan=plan, program=program) -> None:
            fresh = replace(program)
            make_report(plan, cluster, fresh, simulate(fresh), ())

        rates[size] = len(program) / median_s(whole)
        walks[size] = len(program) / median_s(lambda program=program: simulate(program))
        plain[size] = len(program) / median_s(lambda program=program: plain_walk(program), repeats=3)
    return Figure(
        value=min(rates[10**5], rates[10**6]),
        unit="instructions/s",
        baseline=plain[10**5],
        baseline_is="the same walk in plain Python, without energy",
        goal=1e7,
        details={
            "walk_and_report": {f"{size:.0e}": round(rate) for size, rate in rates.items()},
            "walk_alone": {f"{size:.0e}": round(rate) for size, rate in walks.items()},
            "plain_walk": {f"{size:.0e}": round(rate) for size, rate in plain.items()},
            "timeline_bytes_per_instruction": (found.start_s.nbytes + found.end_s.nbytes) / len(program),
        },
    )
