"""Analytic times of a synchronous pipeline: Asteroid's round latency and DAPPLE's recursion.

Both see S = 2 P - 1 steps: even ones execute a stage, odd ones transfer between two stages. ``forward_s`` and
``backward_s`` are (S,), seconds per micro-batch.

References
----------
Asteroid: arXiv 2408.08015, equations 4 to 6 and 11. DAPPLE: src/ of AlibabaPAI/DAPPLE, commit fd75dcfb.
"""

from __future__ import annotations

from collections.abc import Sequence


def asteroid_s(
    forward_s: Sequence[float], backward_s: Sequence[float], reduce_s: Sequence[float], num_micro_batches: int
) -> float:
    """Round latency max_s [Tw(s) + Te(s) + Ta(s)] with its dominant step by equation 11."""
    steps = range(len(forward_s))
    both = [forward_s[x] + backward_s[x] for x in steps]
    most = max(steps, key=lambda c: num_micro_batches * both[c] + sum(both[:c]))

    def latency(s: int) -> float:
        wait = sum(forward_s[:s])
        execute = num_micro_batches * both[most]
        execute += sum(both[s:most]) if s < most else -sum(both[most:s])
        return wait + execute + reduce_s[s]

    return max(latency(s) for s in steps)


def dapple_s(forward_s: Sequence[float], backward_s: Sequence[float], num_micro_batches: int) -> float:
    """Start of the first forward to end of the last backward, by the recursion, mended by end b(i - 1, x).

    Notes
    -----
    With warm-up depth phi = S::

        start f(i, x) = max(end b(i - phi + x, x), end f(i - 1, x), end f(i, x - 1))
        start b(i, x) = max(end b(i, x + 1), end f(i + phi - x - 1, x), end b(i - 1, x))

    The last term is commented out in the source; without it the final drain overlaps itself.
    """
    steps, m = len(forward_s), num_micro_batches
    forward: dict[tuple[int, int], float] = {}
    backward: dict[tuple[int, int], float] = {}

    def end(table: dict[tuple[int, int], float], i: int, x: int) -> float:
        return table.get((min(i, m - 1), x), 0.0) if i >= 0 and 0 <= x < steps else 0.0

    # Every pass over all cells settles at least one more; nothing changes when all are settled.
    changed = True
    while changed:
        changed = False
        for i in range(m):
            for x in range(steps):
                start = max(end(backward, i - steps + x, x), end(forward, i - 1, x), end(forward, i, x - 1))
                changed |= forward.get((i, x)) != start + forward_s[x]
                forward[i, x] = start + forward_s[x]
            for x in reversed(range(steps)):
                start = max(
                    end(backward, i, x + 1),
                    end(forward, i + steps - x - 1, x),
                    end(forward, i, x) if x == steps - 1 else 0.0,
                    end(backward, i - 1, x),
                )
                changed |= backward.get((i, x)) != start + backward_s[x]
                backward[i, x] = start + backward_s[x]
    return max(backward.values())
