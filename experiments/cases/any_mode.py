"""A descent over hybrid pipelines whose stages may share their work by samples, by heads or by tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from experiments.frame.ours import score_of
from models.errors import InputError
from solver.layout import apportion
from solver.plan import Mode, Pipeline, Plan, Stage, share_devices
from solver.problem import Problem
from solver.search.shares import speeds

MODES: tuple[Mode, ...] = ("data", "tensor", "sequence")
SHIFTS = (-4, -2, -1, 1, 2, 4)
"""By how many blocks a boundary moves."""


def any_mode(problem: Problem, starts: Iterable[Plan], *, evaluations: int) -> Plan | None:
    """Return the best plan found by changing modes, joining stages and moving boundaries.

    Parameters
    ----------
    problem
        What is decided.
    starts
        Plans of one pipeline; each is gone down from, the best first, and the answer is never worse.
    evaluations
        Most plans that are judged.

    Notes
    -----
    A heuristic: the first move that is better is taken, in a fixed order, until none is or the number of
    evaluations is used up.
    """
    best, best_score, left = None, math.inf, evaluations
    judged = [(score, plan) for plan in starts if (score := score_of(problem, plan)) is not None]
    for score, plan in sorted(judged, key=lambda pair: pair[0]):
        score, plan, left = _down(problem, score, plan, left)
        if score < best_score:
            best, best_score = plan, score
    return best


def _down(problem: Problem, score: float, plan: Plan, left: int) -> tuple[float, Plan, int]:
    """Go down from a plan; return score, plan, and how many evaluations are left."""
    moved = True
    while moved:
        moved = False
        for option in _neighbours(problem, plan):
            if left == 0:
                return score, plan, 0
            left -= 1
            found = _score(problem, option)
            if found < score * (1 - 1e-9):
                score, plan, moved = found, option, True
                break
    return score, plan, left


def _score(problem: Problem, plan: Plan) -> float:
    try:
        found = score_of(problem, plan)
    except InputError:  # a stage whose blocks cannot be shared out so
        return math.inf
    return math.inf if found is None else found


def _neighbours(problem: Problem, plan: Plan) -> Iterator[Plan]:
    if len(plan.pipelines) > 1:
        return
    (pipeline,) = plan.pipelines
    samples, stages = pipeline.samples, pipeline.stages
    for s, stage in enumerate(stages):
        names = share_devices(stage.shares)
        for mode in MODES if len(names) > 1 else ():
            if mode != stage.mode and (other := _shared(problem, stage.blocks, names, mode, samples)):
                yield _with(plan, pipeline, [*stages[:s], other, *stages[s + 1 :]])
    for s, (one, two) in enumerate(itertools.pairwise(stages)):
        names = (*share_devices(one.shares), *share_devices(two.shares))
        for mode in MODES:
            if joined := _shared(problem, one.blocks + two.blocks, names, mode, samples):
                yield _with(plan, pipeline, [*stages[:s], joined, *stages[s + 2 :]])
        for moved in _shifted(one, two):
            yield _with(plan, pipeline, [*stages[:s], *moved, *stages[s + 2 :]])


def _shifted(one: Stage, two: Stage) -> Iterator[tuple[Stage, Stage]]:
    both, end = one.blocks + two.blocks, len(one.blocks)
    for by in SHIFTS:
        if 0 < end + by < len(both):
            parts = both[: end + by], both[end + by :]
            yield tuple(  # type: ignore[misc]
                stage.model_copy(update={"blocks": part})
                for stage, part in zip((one, two), parts, strict=True)
            )


def _shared(
    problem: Problem, blocks: Sequence[str], names: Sequence[str], mode: Mode, samples: int
) -> Stage | None:
    """Return a stage of a group with shares by speed; ``None`` where somebody would have none."""
    units = samples if mode == "data" else _units(problem, blocks, mode)
    rate = speeds(problem, samples)
    shares = apportion({name: rate[name] for name in names}, units)
    if min(shares.values()) < 1:
        return None
    return Stage(blocks=tuple(blocks), mode=mode, shares=dict(shares))


def _units(problem: Problem, blocks: Sequence[str], mode: Mode) -> int:
    """Return the most heads (columns, where no block has heads) or tokens of blocks; 0 if none can be cut."""
    those = [problem.workload.by_name[name] for name in blocks]
    if mode == "sequence":
        return max((block.tokens for block in those if block.sequence), default=0)
    cuts = [block.tensor for block in those if block.tensor]
    heads = [cut.heads for cut in cuts if cut.heads is not None]
    return max(heads or [cut.columns for cut in cuts if cut.columns is not None], default=0)


def _with(plan: Plan, pipeline: Pipeline, stages: Sequence[Stage]) -> Plan:
    return plan.model_copy(update={"pipelines": (pipeline.model_copy(update={"stages": tuple(stages)}),)})
