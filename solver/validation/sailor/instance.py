"""A published run as what our evaluator takes: workload, cluster, plan and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.formats.sailor import Copy, PlannedPipeline, PlannedRun, Profile, SailorData, Shape
from models.workload import Workload
from solver.evaluate import evaluate
from solver.job import OPTIMIZER_PASSES, Job
from solver.plan import Group, MicroBatch, Pipeline, Plan, Reference, Share, Stage
from solver.settings import Settings
from solver.validation.findings import Prediction
from solver.validation.sailor.cluster import Gpu, cluster_of
from solver.validation.sailor.constants import Constants
from solver.validation.sailor.workload import (
    ACTIVATION_BYTES,
    WEIGHT_BYTES,
    block_name,
    update_s,
    workload_of,
)

OPTIMIZER: Literal["adamw"] = "adamw"
HALF_PRECISION_COPIES = 2 * ACTIVATION_BYTES / WEIGHT_BYTES
"""Weights and gradients in bf16 beside those in fp32: 20 bytes a weight, with Adam's two states."""


@dataclass(frozen=True)
class Instance:
    """A run, ready to be evaluated.

    Parameters
    ----------
    plan, workload, cluster
        What was run.
    settings
        How its runtime differs from ours: a GPU computes or talks, a message stops both ends, and there are
        half-precision copies of weights and gradients.
    """

    plan: Plan
    workload: Workload
    cluster: Cluster
    settings: Settings

    def predict(self) -> Prediction:
        """Return what the evaluator says: seconds of an iteration, peak bytes of the fullest GPU."""
        report = evaluate(self.plan, self.workload, self.cluster, self.settings)
        return Prediction(report.step_time_s, report.peak_memory_bytes)


def instance_of(data: SailorData, name: str, constants: Constants) -> Instance:
    """Return a run, ready to be evaluated.

    Parameters
    ----------
    data
        The folder.
    name
        Id of the run.
    constants
        What profiles and curves do not say.

    Raises
    ------
    InputError
        With what the folder lacks for it, or what its plan gets wrong.

    Notes
    -----
    The copies of a stage share its micro-batch in mode data; each is a group in mode tensor. The schedule is
    1F1B: a stage holds as many micro-batches as stages follow it, itself included.
    """
    run, net = data.runs[name], data.nets[name]
    faults = list(_faults(run, data.shapes[net], {kind: data.profiles[net, kind] for kind in run.gpus}))
    if faults:
        raise InputError([Fault(f"validation/{name}.json: {f.path}", f.message) for f in faults], "sailor")
    profiles = {kind: data.profiles[net, kind] for kind in run.gpus}
    workload = workload_of(data.shapes[net], profiles, _kinds(run), _degrees(run), constants.activation_part)
    pipelines, gpus = _Placing(data, run, workload, profiles).place()
    cluster = cluster_of(data, gpus, constants.link_cost)
    plan = Plan(
        workload=Reference(name=workload.name),
        cluster=Reference(name=cluster.name),
        job=Job(batch=run.gbs, optimizer=OPTIMIZER),
        pipelines=tuple(pipelines),
    )
    settings = Settings(
        overlap=False,
        prefetch=0,
        transfers="blocking",
        message_s=constants.message_s,
        runtime_bytes=constants.held_bytes,
        weight_copies=HALF_PRECISION_COPIES,
    )
    return Instance(plan, workload, cluster, settings)


def _kinds(run: PlannedRun) -> list[tuple[str, int]]:
    copies = (copy for p in run.pipeline_list for stage in p.copies for copy in stage)
    return list(dict.fromkeys((copy.gpus[0][0], copy.degree) for copy in copies))


def _degrees(run: PlannedRun) -> dict[int, int]:
    """Return the largest tensor degree of every layer."""
    found: dict[int, int] = {}
    for pipeline in run.pipeline_list:
        for layers, copies in zip(pipeline.layers_per_stage, pipeline.copies, strict=True):
            for layer in layers:
                found[layer] = max(found.get(layer, 1), *(copy.degree for copy in copies))
    return found


def _samples(run: PlannedRun, pipeline: PlannedPipeline) -> int:
    """Return the samples of a micro-batch over all copies of a stage."""
    return run.mbs * max(pipeline.dp)


def _faults(run: PlannedRun, shape: Shape, profiles: Mapping[str, Profile]) -> Iterator[Fault]:
    layers = list(range(shape.num_layers + 2))
    for gpu, degree in _kinds(run):
        known = sorted({d for degrees in profiles[gpu].values() for d in degrees})
        if degree not in known:
            yield Fault("tmp_per_stage", f"{gpu} was not profiled at tensor degree {degree}, only at {known}")
            continue
        for size, degrees in profiles[gpu].items():
            if degree in degrees and sorted(degrees[degree]) != layers:
                message = f"profile of {gpu} at micro-batch {size}, tensor degree {degree} has layers "
                yield Fault("profiles", f"{message}{sorted(degrees[degree])}, the net has 0 to {layers[-1]}")
        if shape.heads % degree:
            yield Fault("tmp_per_stage", f"{shape.heads} heads cannot be cut into {degree} equal parts")
    for i, pipeline in enumerate(run.pipeline_list):
        placed = sorted(layer for stage in pipeline.layers_per_stage for layer in stage)
        if placed != layers:
            path = f"pipeline_list.{i}.layers_per_stage"
            yield Fault(path, f"has layers {placed}; each of 0 to {layers[-1]} is needed once")
        for copies in pipeline.dp:
            if _samples(run, pipeline) % copies:
                message = (
                    f"{_samples(run, pipeline)} samples cannot be shared out equally over {copies} copies"
                )
                yield Fault(f"pipeline_list.{i}.dp", message)
    samples = sum(_samples(run, pipeline) for pipeline in run.pipeline_list)
    if run.gbs % samples and len(run.pipeline_list) > 1:
        message = f"{run.gbs} samples cannot be cut into micro-batches of {samples} over all pipelines"
        yield Fault("gbs", message)


def _micro_batches(run: PlannedRun) -> int | tuple[MicroBatch, ...]:
    """Return the micro-batches of every pipeline; the last is smaller where they do not fill the batch."""
    samples = sum(_samples(run, pipeline) for pipeline in run.pipeline_list)
    count, rest = divmod(run.gbs, samples)
    if not rest:
        return count
    return (*(MicroBatch(samples=samples) for _ in range(count)), MicroBatch(samples=rest))


class _Placing:
    """Puts the tensor groups of a run on the GPUs of nodes, stage by stage, each on one node if it fits.

    Parameters
    ----------
    data, run, workload, profiles
        The run, its net, and the profiles by GPU.
    """

    def __init__(
        self, data: SailorData, run: PlannedRun, workload: Workload, profiles: Mapping[str, Profile]
    ) -> None:
        self.data, self.run, self.workload, self.profiles = data, run, workload, profiles
        self.used: dict[tuple[str, str], int] = {}
        self.gpus: list[Gpu] = []

    def place(self) -> tuple[list[Pipeline], list[Gpu]]:
        """Return the pipelines of the plan, and the GPUs they use."""
        pipelines = [
            Pipeline(
                micro_batches=_micro_batches(self.run),
                samples=_samples(self.run, pipeline),
                stages=tuple(self._stage(pipeline, i) for i in range(len(pipeline.dp))),
            )
            for pipeline in self.run.pipeline_list
        ]
        return pipelines, self.gpus

    def _stage(self, pipeline: PlannedPipeline, number: int) -> Stage:
        layers, copies = pipeline.layers_per_stage[number], pipeline.copies[number]
        samples = _samples(self.run, pipeline) // len(copies)
        shares: dict[str, Share] = {}
        for i, copy in enumerate(copies):
            names = [gpu.name for gpu in self._group(copy, layers)]
            if copy.degree == 1:
                shares[names[0]] = samples
            else:
                heads = self.data.shapes[self.workload.name].heads // copy.degree
                shares[f"copy{i}"] = Group(samples=samples, mode="tensor", shares=dict.fromkeys(names, heads))
        return Stage(
            blocks=tuple(block_name(layer) for layer in layers),
            shares=shares,
            in_flight=len(pipeline.dp) - number,
        )

    def _group(self, copy: Copy, layers: Sequence[int]) -> list[Gpu]:
        """Return the GPUs of a tensor group, the next free ones of their kind and zone."""
        found = []
        weight_bytes = sum(self.workload.by_name[block_name(layer)].weight_bytes for layer in layers)
        for kind, count, zone in copy.gpus:
            size = self.data.nodes[kind].gpus_per_node if kind in self.data.nodes else count
            first = self.used.get((zone, kind), 0)
            if count <= size < first % size + count:
                first += size - first % size
            self.used[zone, kind] = first + count
            seconds = update_s(self.profiles[kind], copy.degree, layers)
            moved = OPTIMIZER_PASSES[OPTIMIZER] * weight_bytes / copy.degree
            for place in range(first, first + count):
                name, node = f"{zone}/{kind}/{place}", place // size
                found.append(Gpu(name, kind, copy.degree, zone, node, moved / seconds if seconds else 0.0))
        self.gpus += found
        return found
