"""Portions: which samples of a step count for which tasks, and which modalities they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.workload import Workload
from solver.lowering.stages import active_spans
from solver.plan import MicroBatch, Plan


@dataclass(frozen=True)
class Portion:
    """Samples of a step that are alike.

    Parameters
    ----------
    samples
        Interval in the whole batch.
    task
        The only task they count for; ``None``: every task.
    modalities
        Those they have; ``None``: all.
    """

    samples: tuple[int, int]
    task: str | None = None
    modalities: tuple[str, ...] | None = None


def batches_of(plan: Plan) -> Iterator[tuple[tuple[int, int], int, MicroBatch]]:
    """Yield ((pipeline, micro-batch), its first sample in the whole batch, what it is)."""
    first = 0
    for p, pipeline in enumerate(plan.pipelines):
        for i, batch in enumerate(pipeline.batches):
            yield (p, i), first, batch
            first += batch.samples


def portions(plan: Plan, workload: Workload) -> list[Portion]:
    """Return the portions of a step in order, without those that no loss is of; one, if all are alike."""
    if all(batch.tasks is None and batch.modalities is None for _, _, batch in batches_of(plan)):
        return [Portion((0, plan.job.batch))]
    found: list[Portion] = []
    for _, first, batch in batches_of(plan):
        parts: list[tuple[str | None, int]] = [(None, batch.samples)]
        for task, samples in batch.tasks.items() if batch.tasks else parts:
            if samples and _reaches_a_loss(workload, task, samples, batch.modalities):
                found.append(Portion((first, first + samples), task, batch.modalities))
            first += samples
    return found


def _reaches_a_loss(
    workload: Workload, task: str | None, samples: int, modalities: tuple[str, ...] | None
) -> bool:
    tasks = None if task is None else {task: samples}
    spans = active_spans(workload, MicroBatch(samples=samples, tasks=tasks, modalities=modalities))
    return any(spans[block.name] != (0, 0) for block in workload.blocks if block.task is not None)


def task_samples(plan: Plan, workload: Workload) -> dict[str, int]:
    """Return how many samples of a step count for each task: over so many its loss is averaged."""
    sinks = {block.task: block.name for block in workload.blocks if block.task is not None}
    counts = dict.fromkeys(sinks, 0)
    for _, _, batch in batches_of(plan):
        spans = active_spans(workload, batch)
        for task, sink in sinks.items():
            counts[task] += spans[sink][1] - spans[sink][0]
    return counts
