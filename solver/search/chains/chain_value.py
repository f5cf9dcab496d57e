"""What a chain of stages of one device each costs by its tables: its bottleneck, and a bound on its step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from solver.search.chains.chain import ChainTables, Interval


def bottleneck_s(tables: ChainTables, stages: Sequence[Interval]) -> float:
    """Return the busiest lane per micro-batch, as the evaluator counts it.

    Parameters
    ----------
    tables
        Costs of stages.
    stages
        From the first to the last.
    """
    place = {name: v for v, name in enumerate(tables.devices)}
    compute, send, receive = np.zeros((3, len(place)))
    media = np.zeros(len(tables.media))
    for name, h, i in stages:
        compute[place[name]] = tables.compute_s[place[name], h, i]
    for (first, _, i), (second, _, _) in pairwise(stages):
        pairs = [(place[first], place[second])]
        if tables.gradients[i]:
            pairs.append((place[second], place[first]))
        for u, v in pairs:
            seconds = tables.message_s[u, v, i]
            send[u] += seconds
            receive[v] += seconds
            media += tables.media[:, u, v] * seconds
    if not tables.problem.settings.overlap:
        return float(max([(compute + send + receive).max(), *media]))
    return float(max([compute.max(), send.max(), receive.max(), *media]))


def step_bound_s(tables: ChainTables, stages: Sequence[Interval]) -> float:
    """Return seconds that a step of these stages cannot beat.

    Parameters
    ----------
    tables
        Costs of stages.
    stages
        From the first to the last.

    Notes
    -----
    With M micro-batches, c the computing time of a stage for one of them and u its weight update:

    - its compute lane is busy M c + u;
    - before a stage computes at all, the first micro-batch has passed all stages before it; after its last
      backward pass that micro-batch's gradient has yet to pass back through them, and the first stage then
      updates. So a step takes at least M c + (everything one micro-batch spends in and between the
      stages before, both ways) + u of the first stage.

    Both hold for every order of a stage's passes, so for GPipe and 1F1B and for every cap, and when lanes
    are shared, since nothing of it overlaps with itself.
    """
    place = {name: v for v, name in enumerate(tables.devices)}
    count, passed, best = tables.num_micro_batches, 0.0, 0.0
    first_update = tables.update_s[place[stages[0][0]], stages[0][1], stages[0][2]]
    for s, (name, h, i) in enumerate(stages):
        v = place[name]
        compute = float(tables.compute_s[v, h, i])
        alone = count * compute + float(tables.update_s[v, h, i])
        best = max(best, alone, passed + count * compute + first_update)
        if s + 1 < len(stages):
            u = place[stages[s + 1][0]]
            back = tables.message_s[u, v, i] if tables.gradients[i] else 0.0
            passed += compute + float(tables.message_s[v, u, i] + back)
    return float(best)
