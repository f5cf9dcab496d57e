"""Support: which plans the executor can run; every fault of the others is listed."""

from __future__ import annotations

from collections.abc import Iterator

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.nets import catalog
from models.workload import Workload
from solver.execution.machine import memory_bytes
from solver.execution.passes.raw import raw_faults
from solver.plan import Explicit, Group, Plan, Stage, share_devices
from solver.report import Report


def check_executable(plan: Plan, workload: Workload, cluster: Cluster) -> None:
    """Raise if the executor cannot run a plan.

    Parameters
    ----------
    plan
        A sound plan.
    workload, cluster
        What it names.

    Raises
    ------
    InputError
        With everything that is not executable yet, and its path in the plan.
    """
    faults = [
        *_job_faults(plan, workload),
        *_plan_faults(plan),
        *_stage_faults(plan),
        *_workload_faults(plan, workload),
        *_tie_faults(plan, workload),
        *raw_faults(plan, workload, cluster),
    ]
    if faults:
        raise InputError(faults, "plan (it can be evaluated, but not run yet)")


def check_room(report: Report) -> None:
    """Raise if all devices together need more memory than this machine, which is to play them, has.

    Parameters
    ----------
    report
        What the plan costs.

    Raises
    ------
    InputError
        With both numbers.
    """
    needed, there = sum(one.peak_bytes for one in report.memory.values()), memory_bytes()
    if needed > there:
        message = f"its devices need {needed:.4g} bytes together, this machine has {there:.4g}"
        raise InputError([Fault("pipelines", f"{message}; take fewer samples at a time")], "plan")


def _job_faults(plan: Plan, workload: Workload) -> Iterator[Fault]:
    job = plan.job
    if job.kind != "train":
        yield Fault("job.kind", f"{job.kind} is not executable yet; only train is")
    if job.precision == "fp16":
        message = "gradients in fp16 need a loss scale, which the executor does not keep; take bf16"
        yield Fault("job.precision", message)
    if workload.net is None:
        yield Fault(
            "workload", f"{workload.name} names no net that can be trained here; it can only be planned"
        )


def _plan_faults(plan: Plan) -> Iterator[Fault]:
    if plan.copies == "per_pipeline":
        yield from _copy_faults(plan)
    yield from _backup_faults(plan)
    if plan.sync.every > 1:
        yield from _round_faults(plan)
    if plan.sync.every == 1 or plan.sync.rule == "fedavg":
        yield from _rank_faults(plan)


def _copy_faults(plan: Plan) -> Iterator[Fault]:
    """Copies of one device are those of whole blocks, with one gradient."""
    if plan.sync.every > 1:
        message = "copies of one device that train apart are not averaged yet; take shared, or sync.every 1"
        yield Fault("copies", message)
    if any(_modes(stage) - {"data"} for pipeline in plan.pipelines for stage in pipeline.stages):
        yield Fault("copies", "per_pipeline keeps whole blocks; take shared where a mode cuts them")


def _round_faults(plan: Plan) -> Iterator[Fault]:
    """In a round every device trains copies of its own on whole samples of its own."""
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            for mode in sorted(_modes(stage) - {"data"}):
                message = (
                    f"with sync.every above 1 every device trains a copy of its own; mode {mode} cuts one"
                )
                yield Fault(f"pipelines.{p}.stages.{s}.mode", f"{message}: take mode data, or sync.every 1")
        for i, batch in enumerate(pipeline.batches):
            if batch.tasks is not None or batch.modalities is not None:
                message = "copies are weighted by their samples, which all micro-batches must have alike"
                yield Fault(f"pipelines.{p}.micro_batches.{i}", f"{message}: leave tasks and modalities out")


def _rank_faults(plan: Plan) -> Iterator[Fault]:
    """What is added up or averaged entry by entry has one shape on all holders of a block."""
    ranks: dict[str, dict[str, int | None]] = {}
    for stage in (stage for pipeline in plan.pipelines for stage in pipeline.stages):
        for block in stage.blocks:
            own = ranks.setdefault(block, {})
            for name in share_devices(stage.shares):
                choice = plan.devices.get(name)
                own[name] = (choice.rank if choice else None) or plan.job.lora_rank
    unequal = {name: block for block, own in ranks.items() if len(set(own.values())) > 1 for name in own}
    for name, choice in plan.devices.items():
        if choice.rank is not None and name in unequal:
            if plan.sync.every == 1:
                message = f"gradients of {unequal[name]} are added up in every step, so its ranks must agree"
                message += "; take one rank, or sync.every above 1"
            else:
                message = f"rule fedavg averages the adapters of {unequal[name]}, so its ranks must agree"
                message += "; take one rank, or the rule zero_pad, stack or ffa"
            yield Fault(f"devices.{name}.rank", message)


def _backup_faults(plan: Plan) -> Iterator[Fault]:
    for i, backup in enumerate(plan.backup):
        stage = plan.pipelines[backup.stage[0]].stages[backup.stage[1]]
        if _modes(stage) - {"data"}:
            message = "a stage whose weights are cut has no copy of the whole; keep it in mode data"
            yield Fault(f"backup.{i}.stage", message)
        own = {name: plan.devices[name].rank for name in share_devices(stage.shares) if name in plan.devices}
        for name, rank in own.items():
            if rank not in (None, plan.job.lora_rank):
                message = f"a copy has the rank of the job, and {name} trains with {rank}"
                yield Fault(f"backup.{i}.stage", f"{message}; take no copy, or the job's rank on {name}")
        if backup.every > 1 and plan.sync.every > 1:
            message = "in rounds copies are renewed in every step; make it 1, or make sync.every 1"
            yield Fault(f"backup.{i}.every", message)


def _stage_faults(plan: Plan) -> Iterator[Fault]:
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            path = f"pipelines.{p}.stages.{s}"
            if stage.variants:
                message = "measured variants belong to a published cost rule; they can only be evaluated"
                yield Fault(f"{path}.variants", message)


def _modes(stage: Stage) -> set[str]:
    """Return the modes in which more than one device shares the work."""
    found: set[str] = set()

    def visit(mode: str, shares: object) -> None:
        if isinstance(shares, Explicit):
            found.update({mode} if len(share_devices(shares)) > 1 else ())
        elif isinstance(shares, dict):
            found.update({mode} if len(shares) > 1 else ())
            for share in shares.values():
                if isinstance(share, Group):
                    visit(share.mode, share.shares)

    visit(stage.mode, stage.shares)
    return found


def _whole_batch(plan: Plan, block: str) -> bool:
    """Return whether one device computes a block for the whole batch at once."""
    if len(plan.pipelines) > 1 or plan.pipelines[0].num_micro_batches > 1:
        return False
    stage = next(stage for stage in plan.pipelines[0].stages if block in stage.blocks)
    return len(share_devices(stage.shares)) == 1


def _tie_faults(plan: Plan, workload: Workload) -> Iterator[Fault]:
    """Two blocks share weights only where every device that uses them has them, and adds up its gradients."""
    if workload.net is None:
        return
    for block in catalog.spec(workload.net).blocks:
        for key, (owner, theirs) in block.ties.items():
            for p, pipeline in enumerate(plan.pipelines):
                stages = {name: s for s, stage in enumerate(pipeline.stages) for name in stage.blocks}
                s, before = stages[block.name], pipeline.stages[stages[owner]]
                missing = set(share_devices(pipeline.stages[s].shares)) - set(share_devices(before.shares))
                path, what = f"pipelines.{p}.stages.{s}", f"{key} of {block.name} is {theirs} of {owner}"
                if missing:
                    message = f"{what}, which the plan does not put on {', '.join(sorted(missing))} too"
                    yield Fault(f"{path}.blocks", message)
                elif s != stages[owner] and (_modes(before) | _modes(pipeline.stages[s])) - {"data"}:
                    message = f"{what}: their gradients are added up in one stage, or in mode data only"
                    yield Fault(f"pipelines.{p}.stages.{stages[owner]}.mode", message)


def _workload_faults(plan: Plan, workload: Workload) -> Iterator[Fault]:
    for block in workload.blocks:
        if block.capacity is not None:
            message = "an expert's gate chooses tokens while it runs; the executor sends slices known before"
            yield Fault(f"workload.blocks.{block.name}.capacity", f"{message}, so it only evaluates experts")
        if block.loss == "contrastive" and not _whole_batch(plan, block.name):
            message = (
                "a contrastive loss couples the samples of a batch: it needs one micro-batch on one device"
            )
            yield Fault(f"workload.blocks.{block.name}.loss", message)
    for edge in workload.edges:
        if edge.share < 1:
            path = f"workload.edges.{edge.source} -> {edge.target}"
            message = "which part of the tokens it carries is chosen while it runs; the executor sends slices"
            yield Fault(path, f"{message} known before, so such an edge can only be evaluated")
