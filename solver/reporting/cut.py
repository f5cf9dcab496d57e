"""Cut: which stage holds each block, and which part of it each device computes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from models.workload import Workload
from solver.costs import Costs
from solver.plan import Explicit, Group, Pipeline, Plan, Share, Stage
from solver.reporting import units


@dataclass(frozen=True)
class Part:
    """What one device has of a stage.

    Parameters
    ----------
    device
        Which.
    part
        From 0 to 1, of the stage's work.
    words
        Its share, as ``5 samples`` or ``7 heads``.
    """

    device: str
    part: float
    words: str


UNITS = {"data": "samples", "tensor": "heads", "sequence": "tokens"}


def parts(stage: Stage) -> tuple[Part, ...]:
    """Return the parts of a stage's devices, in the order of the plan.

    Parameters
    ----------
    stage
        The stage; shares of nested groups are multiplied out.
    """
    if stage.routing:
        total = sum(stage.routing.values())
        return tuple(
            Part(name, weight / total, f"{units.percent(weight / total)} of requests")
            for name, weight in stage.routing.items()
        )
    return tuple(_open(stage.mode, stage.shares, Fraction(1), ""))


def _open(mode: str, shares: Explicit | dict[str, Share], of: Fraction, prefix: str) -> list[Part]:
    word = UNITS[mode]
    if isinstance(shares, Explicit):
        word = next(key for key in ("heads", "columns", "tokens") if getattr(shares, key))
        shares = dict(getattr(shares, word))
    total = sum(share.samples if isinstance(share, Group) else share for share in shares.values())
    found: list[Part] = []
    for name, share in shares.items():
        amount = share.samples if isinstance(share, Group) else share
        part = of * Fraction(amount, total)
        words = f"{prefix}{amount} {word[:-1] if amount == 1 else word}"
        if isinstance(share, Group):
            found += _open(share.mode, share.shares, part, words + ", ")
        else:
            found.append(Part(name, float(part), words))
    return found


@dataclass(frozen=True)
class Cell:
    """A block as it is drawn.

    Parameters
    ----------
    name
        The block.
    stage
        Its stage in the pipeline.
    flop
        Forward and backward, per sample.
    told
        What is known of it, for people.
    """

    name: str
    stage: int
    flop: float
    told: str


def cells(plan: Plan, pipeline: Pipeline, workload: Workload) -> dict[str, Cell]:
    """Return every block of a pipeline, in topological order.

    Parameters
    ----------
    plan, pipeline, workload
        The plan, one of its pipelines, and what is cut.
    """
    costs = Costs(workload, plan.job)
    stage_of = {name: s for s, stage in enumerate(pipeline.stages) for name in stage.blocks}
    found = {}
    for name in workload.order:
        cost, stage = costs.block(name), pipeline.stages[stage_of[name]]
        trained = "trained" if cost.trained_bytes == cost.weight_bytes else "frozen"
        if 0 < cost.trained_bytes < cost.weight_bytes:
            trained = f"{units.size(cost.trained_bytes)} trained"
        lines = [
            f"{name} (stage {stage_of[name]}, {stage.mode})",
            "on " + "; ".join(f"{part.device}: {part.words}" for part in parts(stage)),
            f"forward {units.operations(cost.forward_flop)}, "
            f"backward {units.operations(cost.backward_flop)} a sample",
            f"weights {units.size(cost.weight_bytes)}" + (f", {trained}" if cost.weight_bytes else ""),
            f"output {units.size(cost.output_bytes)}, kept {units.size(cost.kept_bytes)} a sample",
        ]
        if name in stage.recompute:
            lines.append("computed again in the backward pass")
        if stage.ring:
            lines.append(f"rings go round {', '.join(stage.ring)}")
        flop = cost.forward_flop + cost.backward_flop
        found[name] = Cell(name, stage_of[name], flop, "\n".join(lines))
    return found


def stage_words(stage: Stage) -> str:
    """Return a stage in a few words: its mode if devices share it, and its caps.

    Parameters
    ----------
    stage
        The stage.
    """
    words: list[str] = []
    if len(parts(stage)) > 1:
        words.append(stage.mode if not stage.routing else "routed")
    if stage.in_flight is not None:
        words.append(f"in flight {stage.in_flight}")
    if stage.recompute:
        words.append("recompute")
    return ", ".join(words)


def roles(plan: Plan) -> dict[str, str]:
    """Return what each device that takes part does, as ``stage 1, 3: 5 samples``.

    Parameters
    ----------
    plan
        The plan.
    """
    found: dict[str, list[str]] = {}
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            own = parts(stage)
            for part in own:
                place = f"{p}.{s}" if len(plan.pipelines) > 1 else str(s)
                share = f" ({part.words})" if len(own) > 1 else ""
                found.setdefault(part.device, []).append(place + share)
    roles_of = {name: "stage " + ", ".join(places) for name, places in found.items()}
    for backup in plan.backup:
        words = f"keeps a copy of stage {backup.stage[0]}.{backup.stage[1]}"
        roles_of[backup.on] = "; ".join([*([roles_of[backup.on]] if backup.on in roles_of else []), words])
    if plan.sync.server is not None:
        words = "aggregates" if plan.sync.every > 1 else "centre of the reductions"
        own_role = [roles_of[plan.sync.server]] if plan.sync.server in roles_of else []
        roles_of[plan.sync.server] = "; ".join([*own_role, words])
    return roles_of
