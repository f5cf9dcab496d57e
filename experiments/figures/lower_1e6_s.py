"""Seconds to lower a plan of a million instructions, compilation done."""

from __future__ import annotations

from experiments.figures import Figure, median_s
from experiments.figures._pipelines import boards, chain, hybrid
from solver.lowering import lower


def measure() -> Figure:
    workload, cluster = chain(24), boards(8)
    small, more = (len(lower(hybrid(count), workload, cluster)) for count in (10, 20))
    plan = hybrid(-(-10 * 10**6 // (more - small)))
    program = lower(plan, workload, cluster)
    columns = [part.tolist() for part in (program.row, program.micro_batch, program.slot, program.mate)]

    def plain() -> list[tuple[int, ...]]:
        listed = []
        for instruction in zip(*columns, strict=True):
            listed.append((program.rows[instruction[0]].kind, *instruction))
        return listed

    return Figure(
        value=median_s(lambda: lower(plan, workload, cluster), repeats=5),
        unit="s",
        baseline=median_s(plain, repeats=5),
        baseline_is="only writing the finished instructions into a list, in plain Python",
        lower_is_better=True,
        goal=1.0,
        details={"instructions": len(program)},
    )
