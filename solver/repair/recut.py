"""Recut: a light repair of a plan; what the devices that have gone did is done by their neighbours.

Source: the layer-wise light replay of Wang et al., "Asteroid", MobiCom 2024, arXiv:2408.08015, which cuts
again locally instead of planning anew; no public code is known. Ours: a group that lost a member shares its
work out again in proportion; the blocks of a stage that lost all its members go to the stages beside it, at
the best split; then boundaries and shares near the gap shift, one block or unit at a time, while the
predicted step gets shorter. The order of the devices stays, so that few weights move. Claim: a heuristic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.layout import apportion
from solver.plan import Explicit, Group, Pipeline, Plan, Share, Stage, share_devices, with_shares

Shares = Explicit | dict[str, Share]
Accept = Callable[[Plan], bool]


@dataclass
class Recut:
    """One repair.

    Parameters
    ----------
    workload, cluster
        What the plan names.
    accept
        Whether a plan may be used.
    num_evaluations
        Most plans that are evaluated.

    Attributes
    ----------
    work
        Plans that were evaluated.
    """

    workload: Workload
    cluster: Cluster
    accept: Accept = lambda plan: True
    num_evaluations: int = 200
    work: int = 0
    _known: dict[str, float] = field(default_factory=dict)

    def plan(self, plan: Plan, away: Collection[str]) -> Plan | None:
        """Return the repaired plan, without backups; ``None`` if the neighbours cannot take over.

        Parameters
        ----------
        plan
            The plan that ran.
        away
            Devices that have gone.
        """
        left = [name for name in self.cluster.by_name if name not in away]
        server = plan.sync.server if plan.sync.server not in away else left[0]
        bare = plan.model_copy(
            update={
                "backup": (),
                "sync": plan.sync.model_copy(update={"server": server}),
                "devices": {name: choice for name, choice in plan.devices.items() if name not in away},
            }
        )
        found = self._best(bare.model_copy(update={"pipelines": option}) for option in _filled(bare, away))
        if found is None:
            return None
        touched = [s for p in plan.pipelines for s in p.stages if set(share_devices(s.shares)) & set(away)]
        near = {name for stage in touched for name in stage.blocks}
        return self._in_order(self._improved(found, near))

    def _in_order(self, plan: Plan) -> Plan:
        """Return a plan with the blocks of every stage as they follow one another."""
        place = {name: i for i, name in enumerate(self.workload.order)}
        pipelines = tuple(
            pipeline.model_copy(
                update={
                    "stages": tuple(
                        stage.model_copy(
                            update={"blocks": tuple(sorted(stage.blocks, key=place.__getitem__))}
                        )
                        for stage in pipeline.stages
                    )
                }
            )
            for pipeline in plan.pipelines
        )
        return plan.model_copy(update={"pipelines": pipelines})

    def _score(self, plan: Plan) -> float:
        key = plan.key
        if key not in self._known:
            self.work += 1
            self._known[key] = self._evaluated(plan)
        return self._known[key]

    def _evaluated(self, plan: Plan) -> float:
        try:
            report = evaluate(plan, self.workload, self.cluster)
        except InputError:
            return math.inf
        return report.step_time_s if report.is_feasible and self.accept(plan) else math.inf

    def _best(self, plans: Iterator[Plan]) -> Plan | None:
        best, least = None, math.inf
        for plan in plans:
            if self.work >= self.num_evaluations:
                break
            if (score := self._score(plan)) < least:
                best, least = plan, score
        return best

    def _improved(self, plan: Plan, near: set[str]) -> Plan:
        """Shift boundaries and shares of the stages around some blocks while that helps."""
        while True:
            better = self._best(_shifted(plan, near, self.workload))
            if better is None or self._score(better) >= self._score(plan):
                return plan
            plan = better


def _filled(plan: Plan, away: Collection[str]) -> Iterator[tuple[Pipeline, ...]]:
    """Yield the ways to fill the gap, each as the pipelines of a plan."""
    done: list[tuple[Pipeline, ...]] = [()]
    for pipeline in plan.pipelines:
        stages = [_reduced(stage, pipeline.samples, away) for stage in pipeline.stages]
        ways = list(_merged(pipeline.stages, stages))
        done = [
            (*before, pipeline.model_copy(update={"stages": stages})) for before in done for stages in ways
        ]
    yield from done


def _reduced(stage: Stage, samples: int, away: Collection[str]) -> Stage | None:
    """Return a stage without some devices; ``None`` if nobody is left."""
    total = samples if stage.mode == "data" else None
    shares = _left(stage.shares, total, away)
    return None if shares is None else with_shares(stage, shares)


def _left(shares: Shares, total: int | None, away: Collection[str]) -> Shares | None:
    if isinstance(shares, Explicit):
        tables = {word: table for word in ("heads", "columns", "tokens") if (table := getattr(shares, word))}
        left = {word: _left(table, sum(table.values()), away) for word, table in tables.items()}
        return None if None in left.values() else Explicit.model_validate(left)
    kept: dict[str, Share] = {}
    for name, share in shares.items():
        if isinstance(share, Group):
            inner = _left(share.shares, share.samples if share.mode == "data" else None, away)
            if inner is not None:
                kept[name] = share.model_copy(update={"shares": inner})
        elif name not in away:
            kept[name] = share
    if not kept:
        return None
    weights = {name: share.samples if isinstance(share, Group) else share for name, share in kept.items()}
    size = total if total is not None else sum(s for s in shares.values() if isinstance(s, int))
    return _resized(kept, apportion(weights, size))


def _resized(shares: dict[str, Share], sizes: dict[str, int]) -> dict[str, Share]:
    found: dict[str, Share] = {}
    for name, share in shares.items():
        if not isinstance(share, Group):
            if sizes[name]:
                found[name] = sizes[name]
            continue
        inner = share.shares
        if share.mode == "data" and isinstance(inner, dict):
            weights = {n: s.samples if isinstance(s, Group) else s for n, s in inner.items()}
            inner = _resized(inner, apportion(weights, sizes[name]))
        found[name] = share.model_copy(update={"samples": sizes[name], "shares": inner})
    return found


def _merged(before: tuple[Stage, ...], stages: list[Stage | None]) -> Iterator[tuple[Stage, ...]]:
    """Yield the ways in which blocks of emptied stages go to the nearest stages that are left."""
    gap = next((s for s, stage in enumerate(stages) if stage is None), None)
    if gap is None:
        yield tuple(stage for stage in stages if stage is not None and stage.blocks)
        return
    last = next((s for s in range(gap, len(stages)) if s + 1 == len(stages) or stages[s + 1]), gap)
    blocks = [name for stage in before[gap : last + 1] for name in stage.blocks]
    earlier, later = stages[gap - 1] if gap else None, stages[last + 1] if last + 1 < len(stages) else None
    for split in range(len(blocks) + 1):
        if (split and earlier is None) or (split < len(blocks) and later is None):
            continue
        filled = list(stages)
        filled[gap : last + 1] = [_EMPTY] * (last + 1 - gap)
        if earlier is not None:
            filled[gap - 1] = earlier.model_copy(update={"blocks": (*earlier.blocks, *blocks[:split])})
        if later is not None:
            filled[last + 1] = later.model_copy(update={"blocks": (*blocks[split:], *later.blocks)})
        yield from _merged(before, filled)


_EMPTY = Stage.model_construct(blocks=(), shares={})


def _shifted(plan: Plan, near: set[str], workload: Workload) -> Iterator[Plan]:
    """Yield the plans that differ by one block at a boundary, or by one unit of a share, near some blocks."""
    for p, pipeline in enumerate(plan.pipelines):
        stages = pipeline.stages
        close = [s for s, stage in enumerate(stages) if set(stage.blocks) & near]
        around = {t for s in close for t in (s - 1, s, s + 1) if 0 <= t < len(stages)}
        for s in sorted(around):
            for changed in _neighbours(stages, s, around, workload):
                pipelines = list(plan.pipelines)
                pipelines[p] = pipeline.model_copy(update={"stages": changed})
                yield plan.model_copy(update={"pipelines": tuple(pipelines)})


def _neighbours(
    stages: tuple[Stage, ...], s: int, around: set[int], workload: Workload
) -> Iterator[tuple[Stage, ...]]:
    here = stages[s]
    if s + 1 in around and len(here.blocks) > 1:
        yield _moved(stages, s, s + 1, _edge(here, -1, workload))
    if s - 1 in around and len(here.blocks) > 1:
        yield _moved(stages, s, s - 1, _edge(here, 0, workload))
    shares = here.shares
    if isinstance(shares, Explicit):
        return
    units = {name: share for name, share in shares.items() if isinstance(share, int)}
    for giver in units:
        for taker in units:
            if giver != taker and units[giver] > 1:
                table = {**shares, giver: units[giver] - 1, taker: units[taker] + 1}
                changed = here.model_copy(update={"shares": table})
                yield (*stages[:s], changed, *stages[s + 1 :])


def _edge(stage: Stage, end: int, workload: Workload) -> str:
    return [name for name in workload.order if name in stage.blocks][end]


def _moved(stages: tuple[Stage, ...], source: int, target: int, block: str) -> tuple[Stage, ...]:
    found = list(stages)
    kept = tuple(name for name in stages[source].blocks if name != block)
    found[source] = stages[source].model_copy(update={"blocks": kept})
    found[target] = stages[target].model_copy(update={"blocks": (*stages[target].blocks, block)})
    return tuple(found)
