"""Trust: bytes that stages of one device each send to devices of less trust, and how many may."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from solver.problem import Problem
from solver.program import Longs
from solver.search.chains.chain import ChainTables, Interval


def untrusted_limit(problem: Problem) -> float:
    """Return the most bytes of a step that may go to less trusted devices; infinite without a limit.

    Parameters
    ----------
    problem
        What is decided.
    """
    own = problem.job.untrusted_limit_bytes
    return min(math.inf if own is None else own, problem.at_most.get("untrusted", math.inf))


def boundary_untrusted_bytes(tables: ChainTables) -> Longs:
    """Return (D, D, L + 1) bytes of a step to less trusted devices, over each boundary between two devices.

    Parameters
    ----------
    tables
        Costs of stages.

    Notes
    -----
    From device u before boundary i to device w behind it go activations, and gradients back.
    """
    by_name = tables.problem.cluster.by_name
    trust = np.array([by_name[name].trust for name in tables.devices])
    sent = tables.num_micro_batches * tables.boundary_bytes[0]
    down = trust[None, :] < trust[:, None]
    up = (trust[None, :] > trust[:, None])[:, :, None] & tables.gradients
    found: Longs = sent * (down[:, :, None].astype(np.int64) + up)
    return found


def untrusted_bytes(tables: ChainTables, stages: list[Interval]) -> int:
    """Return the bytes of a step that stages send to less trusted devices.

    Parameters
    ----------
    tables, stages
        Costs of stages, and a chain of them.
    """
    bytes_between = boundary_untrusted_bytes(tables)
    place = {name: v for v, name in enumerate(tables.devices)}
    return sum(int(bytes_between[place[u], place[w], i]) for (u, _, i), (w, _, _) in pairwise(stages))
