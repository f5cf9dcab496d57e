"""Random plans of mixed modes on the small vision transformer, by seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from solver.plan import Plan
from tests.execution import plans
from tests.random_plans import cuts, parts

HEADS, TOKENS = 12, 64


def shares(rng: Generator, mode: str, names: list[str], samples: int) -> dict[str, Any]:
    """Random shares of a group in one mode; a group of data may hold groups of another mode."""
    if mode != "data":
        total = HEADS if mode == "tensor" else TOKENS
        return dict(zip(names, parts(rng, total, len(names)), strict=True))
    if len(names) > 2 and samples > 1 and rng.random() < 0.7:
        first, rest = names[:2], names[2:]
        own, others = parts(rng, samples, 2)
        groups = []
        for size, members in ((own, first), (others, rest)):
            inner = str(rng.choice(["tensor", "sequence"]))
            groups.append({"samples": size, "mode": inner, "shares": shares(rng, inner, members, size)})
        if len(rest) == 1:
            return {"group": groups[0], rest[0]: others}
        return {"group": groups[0], "other": groups[1]}
    names = names[:samples]
    return dict(zip(names, parts(rng, samples, len(names)), strict=True))


def pipeline(rng: Generator, names: list[str]) -> dict[str, Any]:
    """A random pipeline; a device may be in several stages."""
    blocks, samples = plans.VIT, int(rng.integers(2, 6))
    num_stages = int(rng.integers(1, 4))
    stages = []
    for start, end in cuts(rng, len(blocks), num_stages):
        group = rng.permutation(names)[: int(rng.integers(1, len(names) + 1))].tolist()
        # A stage without heads would take its shares in columns.
        has_heads = any(name.endswith("attention") for name in blocks[start:end])
        mode = str(rng.choice(["data", "tensor", "sequence"])) if has_heads and len(group) > 1 else "data"
        given = shares(rng, mode, group if has_heads else group[:2], samples)
        stages.append({"blocks": blocks[start:end], "mode": mode, "shares": given})
    return {"micro_batches": int(rng.integers(1, 4)), "samples": samples, "stages": stages}


def mixed_plan(seed: int) -> Plan:
    """A random plan of one or two pipelines on four devices."""
    rng = np.random.default_rng(seed)
    lines = [pipeline(rng, ["a", "b", "c", "d"]) for _ in range(int(rng.integers(1, 3)))]
    frozen = plans.VIT[: int(rng.integers(1, 6))] if rng.random() < 0.2 else []
    return plans.plan(lines, schedule=str(rng.choice(["1f1b", "gpipe"])), frozen=frozen)
