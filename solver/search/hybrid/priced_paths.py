"""Cheapest paths of stages through a chain, for a step of so many seconds at most, compiled.

From the last block to the first. The *tail* of what is placed is the largest, over its stages, of M times a
stage's mean seconds and one way there and back through all stages placed before it, links included. A step
takes at least the tail of the whole and the update of the first stage. For every tail, a multiple of
a T / J, the cheapest stages with no larger one are found: J numbers for every boundary and depth. A tail
between two multiples counts as the larger one, and what is placed before it as if it were the smaller.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled

ROUND = 1 + 1e-9
TOO_MUCH = 1 + 1e-4
"""Stages that cost more than all devices together, which cost 1, with some room for single precision."""


@compiled
def find_paths(
    step_s: float,
    fine: int,
    count: int,
    sizes: Longs,
    crossing: Any,
    finish: Floats,
    price: Any,
    best: Any,
    choice: Longs,
) -> Any:
    """Fill in the cheapest stages of every depth, from every boundary on.

    Parameters
    ----------
    step_s, fine, count
        Distance T / J of two tails, how many of a stage's mean seconds are one such, and micro-batches M.
    sizes, crossing, finish
        See :class:`solver.search.hybrid.priced_stages.PricedTables`.
    price
        See :func:`solver.search.hybrid.priced_stages.fill_prices`.
    best
        (K, L + 1, J + 1), filled: of depth k + 1, the last for itself and all deeper ones; infinite where it
        is more than all devices cost.
    choice
        The same shape: end of the stage, tail after it, its class of groups and its seconds, as one number.
    """
    depths, size = price.shape[0], price.shape[1]
    best[:] = np.inf
    after = np.zeros(best.shape[2], best.dtype)
    for h in range(size - 2, -1, -1):
        for e in range(h + 1, size):
            for k in range(depths):
                if e == size - 1:
                    if k > 0:
                        break
                    after[:] = 0.0
                elif k > 0 or depths == 1:
                    after[:] = best[max(0, k - 1), e]
                    if k == depths - 1:
                        after[:] = np.minimum(after, best[k, e])
                else:
                    continue
                for g in range(len(sizes)):
                    _add(
                        step_s,
                        fine,
                        count,
                        (h, e, g, e == size - 1),
                        len(sizes),
                        crossing,
                        finish,
                        price[k, h, e, g],
                        after,
                        best[k, h],
                        choice[k, h],
                    )
    return best[:, 0, -1].min()


@compiled
def _add(
    step_s: float,
    fine: int,
    count: int,
    stage: Any,
    num_classes: int,
    crossing: Any,
    finish: Floats,
    price: Any,
    after: Any,
    best: Any,
    choice: Longs,
) -> Any:
    """Place a stage before the best that follows it, for every tail."""
    h, e, g, is_last = stage
    latency, half = crossing
    tails, steps = len(best) - 1, len(price)
    unit = step_s / fine
    own_most = (step_s * tails - finish[g, h, e]) / count
    before = latency[h] + half[g, h] + (finish[g, h, e] if h == 0 else 0.0)
    for j in range(1, tails + 1):
        budget = j * step_s - before
        most = min(own_most, budget / count)
        top = most if is_last else budget - half[g, e]
        if most <= 0 or top <= 0:
            continue
        first, end = 0, 1
        if not is_last:
            first, end = max(1, int((top - most) / step_s / ROUND) + 1), tails + 1
        for x in range(first, end):
            seconds = most if is_last else min(most, top - (x - 1) * step_s)
            if seconds <= 0:
                break
            c = min(steps - 1, int(seconds / unit * ROUND) + 1)
            if np.isinf(price[c]):
                break
            total = price[c] + after[x]
            if total < best[j] and total < TOO_MUCH:
                best[j] = total
                choice[j] = ((e * (tails + 1) + x) * num_classes + g) * steps + c
    return 0
