"""The plan Megatron ran: 1F1B over stages of equal numbers of layers, each with room for what it needs."""

from __future__ import annotations

import numpy as np

from models.cluster import Cluster
from models.formats.vtrain import GptRun
from models.workload import Workload
from solver.job import Job
from solver.plan import Group, Mode, Pipeline, Plan, Reference, Stage
from solver.validation.vtrain.constants import MEMORY_BYTES, VOCABULARY
from solver.validation.vtrain.costs import layer_parameters
from solver.validation.vtrain.gpus import device_name

STATE_BYTES = 16
"""Memory per parameter in mixed precision: weight and gradient in fp16, weight and two moments in fp32."""


def is_recomputed(run: GptRun) -> bool:
    """Return whether a GPU has no room to keep all activations, so that Megatron recomputes every layer."""
    layers = -(-run.layers // run.pipeline)
    weights = float(layer_parameters(np.array([float(run.hidden)]))[0]) * layers + run.hidden * VOCABULARY
    tokens = run.sequence * run.hidden * (10 + 24 / run.tensor)
    scores = 5 * run.heads * run.sequence**2 / run.tensor
    kept = run.micro_batch * layers * (tokens + scores) * min(run.pipeline, run.num_micro_batches)
    return STATE_BYTES * weights / run.tensor + kept > MEMORY_BYTES


def plan_of(run: GptRun, workload: Workload, cluster: Cluster) -> Plan:
    """Return the plan Megatron ran: 1F1B, each stage with room for the micro-batches it needs at most.

    Parameters
    ----------
    run, workload, cluster
        The run, its net and its GPUs.
    """
    layers = [name for name in workload.order if name.startswith("layer")]
    cuts = [run.layers * p // run.pipeline for p in range(run.pipeline + 1)]
    recompute = is_recomputed(run)
    stages = []
    for p in range(run.pipeline):
        own = tuple(layers[cuts[p] : cuts[p + 1]])
        first = ("embedding",) if p == 0 else ()
        last = ("head",) if p == run.pipeline - 1 else ()
        shares, mode = _shares(run, p)
        stages.append(
            Stage(
                blocks=(*first, *own, *last),
                mode=mode,
                shares=shares,
                in_flight=run.pipeline - p,
                recompute=own if recompute else (),
            )
        )
    pipeline = Pipeline(
        micro_batches=run.num_micro_batches, samples=run.micro_batch * run.data, stages=tuple(stages)
    )
    return Plan(
        workload=Reference(name=workload.name),
        cluster=Reference(name=cluster.name),
        job=Job(batch=run.global_batch, optimizer="adamw", precision="fp16"),
        schedule="1f1b",
        pipelines=(pipeline,),
    )


def _shares(run: GptRun, stage: int) -> tuple[dict[str, int | Group], Mode]:
    """Return the shares of a stage: samples, heads, or samples over heads."""
    heads: list[dict[str, int | Group]] = [
        {device_name(stage, d, t): run.heads // run.tensor for t in range(run.tensor)}
        for d in range(run.data)
    ]
    if run.tensor == 1:
        return {device_name(stage, d, 0): run.micro_batch for d in range(run.data)}, "data"
    if run.data == 1:
        return heads[0], "tensor"
    groups = {
        f"replica{d}": Group(samples=run.micro_batch, mode="tensor", shares=part)
        for d, part in enumerate(heads)
    }
    return {**groups}, "data"
