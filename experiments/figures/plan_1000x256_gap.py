"""Gap of the plan that `best` finds in 60 s for 1000 blocks and 256 boards, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from experiments.figures import Figure

NUM_BLOCKS, NUM_DEVICES, LIMIT_S = 1000, 256, 60.0

_SCRIPT = """
import json, resource, sys
from models.synthetic import transformer_chain, unequal_switch
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve

blocks, devices, limit_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
workload = transformer_chain(blocks)
job = Job(batch=256)
cluster = unequal_switch(devices, devices * 16e9)
problem = Problem(workload, cluster, job, num_micro_batches=32)
best, one = solve(problem, "best", time_limit_s=limit_s), solve(problem, "single")
even = solve(problem, "pipeline_even", time_limit_s=limit_s)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"score_s": best.score, "bound_s": best.bound, "gap": best.gap, "wall_s": best.wall_s,
                  "status": best.status.name, "single_s": one.score, "even_s": even.score,
                  "peak_bytes": peak}))
"""


def measure() -> Figure:
    words = [sys.executable, "-c", _SCRIPT, *map(str, (NUM_BLOCKS, NUM_DEVICES, LIMIT_S))]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=900).stdout
    found = json.loads(told.splitlines()[-1])
    bound, even = found["bound_s"], found["even_s"] or found["single_s"]
    return Figure(
        value=found["gap"],
        unit="(score - bound) / score",
        baseline=1 - bound / even if even else 1.0,
        baseline_is="gap of the even cut to the same bound",
        lower_is_better=True,
        details=found,
    )
