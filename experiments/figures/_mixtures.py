"""One plan for every mode and mixture that the language can say for training, each on a net it can train."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from models import catalog
from models.cluster import Cluster
from solver.execution.run import RunResult, run
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan

STEPS = 20
TENSOR, SEQUENCE = {"mode": "tensor"}, {"mode": "sequence"}


@dataclass(frozen=True)
class Mixture:
    """A plan by name; ``words`` are those of the plan outside its pipelines and job."""

    name: str
    workload: str
    pipelines: list[dict[str, Any]]
    words: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)

    def plan(self, optimizer: str, precision: str) -> Plan:
        """Return the plan for an optimizer and a number format."""
        batch = sum(_samples(pipeline) for pipeline in self.pipelines)
        job = {"batch": batch, "optimizer": optimizer, "precision": precision, **self.job}
        return Plan.model_validate(
            {
                "workload": {"name": self.workload},
                "cluster": {"name": "six_boards"},
                "job": job,
                "pipelines": self.pipelines,
                **self.words,
            }
        )


def _samples(pipeline: dict[str, Any]) -> int:
    batches = pipeline["micro_batches"]
    return batches * pipeline["samples"] if isinstance(batches, int) else sum(b["samples"] for b in batches)


def cluster() -> Cluster:
    """Six unequal boards of 4 to 16 Gflop/s on a switch of 100 MB/s."""
    devices = [
        {
            "name": name,
            "flop_per_s": dict.fromkeys(("fp32", "fp64"), rate),
            "memory_bytes": 1e10,
            "memory_bytes_per_s": 1e10,
            "overhead_s": 1e-3,
        }
        for name, rate in zip("abcdef", (4e9, 8e9, 1.2e10, 1.6e10, 8e9, 4e9), strict=True)
    ]
    switch = {
        "name": "net",
        "kind": "switch",
        "members": list("abcdef"),
        "bandwidth_bytes_per_s": 1e8,
        "latency_s": 1e-3,
    }
    return Cluster.model_validate({"name": "six_boards", "devices": devices, "segments": [switch]})


def blocks(workload: str) -> list[str]:
    """Names of a workload's blocks in topological order."""
    return list(catalog.workload(workload).order)


def stage(names: list[str], shares: dict[str, Any], **words: Any) -> dict[str, Any]:
    """A stage."""
    return {"blocks": names, "shares": shares, **words}


def pipeline(micro_batches: int, samples: int, *stages: dict[str, Any]) -> dict[str, Any]:
    """A pipeline."""
    return {"micro_batches": micro_batches, "samples": samples, "stages": list(stages)}


def mixtures() -> Iterator[Mixture]:
    """Yield all of them."""
    yield from _modes()
    yield from _graphs()
    yield from _words()
    yield from _tasks_and_ties()
    yield from _synchronised()


def _modes() -> Iterator[Mixture]:
    vit = blocks("vit_digits")
    halves = vit[:6], vit[6:]
    nested = {"samples": 5, "mode": "tensor", "shares": {"a": 5, "b": 7}}
    yield Mixture("data 5:3", "vit_digits", [pipeline(2, 8, stage(vit, {"a": 5, "b": 3}))])
    yield Mixture(
        "tensor 5:4:3", "vit_digits", [pipeline(2, 4, stage(vit, {"a": 5, "b": 4, "c": 3}, **TENSOR))]
    )
    yield Mixture(
        "sequence 30:20:14",
        "vit_digits",
        [pipeline(2, 4, stage(vit, {"a": 30, "b": 20, "c": 14}, **SEQUENCE))],
    )
    yield Mixture("data over tensor", "vit_digits", [pipeline(2, 8, stage(vit, {"x": nested, "c": 3}))])
    yield Mixture("pipeline of 4", "vit_digits", [_chain(4, [vit[:3], vit[3:6], vit[6:9], vit[9:]], "abcd")])
    yield Mixture(
        "hybrid 5:3, 2:6",
        "vit_digits",
        [pipeline(3, 8, stage(halves[0], {"a": 5, "b": 3}), stage(halves[1], {"c": 2, "d": 6}))],
    )
    yield Mixture(
        "tensor, data, sequence",
        "vit_digits",
        [
            pipeline(
                3,
                4,
                stage(vit[:5], {"a": 5, "b": 7}, **TENSOR),
                stage(vit[5:9], {"c": 1, "d": 3}),
                stage(vit[9:], {"e": 40, "f": 24}, **SEQUENCE),
            )
        ],
    )
    yield Mixture("text, tensor 5:4:3 then data", "minilm", [_text()])


def _chain(micro_batches: int, parts: list[list[str]], devices: str) -> dict[str, Any]:
    return pipeline(
        micro_batches, 4, *(stage(names, {d: 4}) for names, d in zip(parts, devices, strict=True))
    )


def _text() -> dict[str, Any]:
    names = blocks("minilm")
    first = stage(names[:7], {"a": 5, "b": 4, "c": 3}, **TENSOR)
    return pipeline(2, 4, first, stage(names[7:], {"d": 3, "e": 1}))


def _graphs() -> Iterator[Mixture]:
    vit, imu = blocks("vit_digits"), blocks("imu_motions")
    ears = [[name for name in imu if name.startswith(m)] for m in ("accelerometer", "gyroscope")]
    trunk = [name for name in imu if name not in (*ears[0], *ears[1])]
    yield Mixture(
        "two encoders, tensor trunk",
        "imu_motions",
        [
            pipeline(
                3,
                4,
                stage(ears[0], {"a": 4}),
                stage(ears[1], {"b": 3, "c": 1}),
                stage(trunk, {"d": 5, "e": 3}, **TENSOR),
            )
        ],
    )
    there = pipeline(2, 3, stage(vit[:4], {"a": 3}), stage(vit[4:], {"b": 3}))
    back = pipeline(1, 2, stage(vit[:9], {"b": 2}), stage(vit[9:], {"a": 2}))
    yield Mixture("two pipelines, opposite ways", "vit_digits", [there, back])
    turns = [stage(vit[:3], {"a": 5, "b": 3}), stage(vit[3:7], {"a": 2, "b": 6}), stage(vit[7:], {"a": 8})]
    yield Mixture("several stages a board", "vit_digits", [pipeline(2, 8, *turns)])


def _words() -> Iterator[Mixture]:
    vit = blocks("vit_digits")
    first, second = stage(vit[:6], {"a": 5, "b": 3}), stage(vit[6:], {"c": 2, "d": 6})
    hybrid = [pipeline(3, 8, first, second)]
    yield Mixture("gpipe", "vit_digits", hybrid, {"schedule": "gpipe"})
    star = {"sync": {"topology": "star", "server": "e"}}
    yield Mixture("star", "vit_digits", [pipeline(2, 8, stage(vit, {"a": 5, "b": 3}))], star)
    yield Mixture("frozen prefix", "vit_digits", hybrid, {}, {"frozen": vit[:5]})
    again = [pipeline(3, 8, {**first, "recompute": vit[1:6]}, {**second, "recompute": vit[7:9]})]
    yield Mixture("recomputed", "vit_digits", again)
    yield Mixture("low rank", "vit_digits", hybrid, {}, {"tune": "lora", "lora_rank": 4, "trained": ["head"]})
    cut = [pipeline(3, 4, stage(vit[:6], {"a": 5, "b": 7}, **TENSOR), stage(vit[6:], {"c": 1, "d": 3}))]
    yield Mixture(
        "low rank, tensor", "vit_digits", cut, {}, {"tune": "lora", "lora_rank": 4, "trained": ["head"]}
    )


def _tasks_and_ties() -> Iterator[Mixture]:
    two, letters = blocks("vit_two_tasks"), blocks("gpt_letters")
    heads = [name for name in two if catalog.workload("vit_two_tasks").by_name[name].task is not None]
    trunk = [name for name in two if name not in heads]
    ends = [stage([heads[0]], {"c": 4}), stage([heads[1]], {"d": 4})]
    yield Mixture(
        "one trunk, two heads", "vit_two_tasks", [pipeline(3, 4, stage(trunk, {"a": 3, "b": 1}), *ends)]
    )
    yield Mixture(
        "tied head, tensor", "gpt_letters", [pipeline(2, 4, stage(letters, {"a": 2, "b": 4}, **TENSOR))]
    )


def _synchronised() -> Iterator[Mixture]:
    vit = blocks("vit_digits")
    whole = [pipeline(2, 8, stage(vit, {"a": 5, "b": 3}))]
    hybrid = [pipeline(3, 8, stage(vit[:6], {"a": 5, "b": 3}), stage(vit[6:], {"c": 2, "d": 6}))]
    yield Mixture("buckets of gradients, data", "vit_digits", whole, {"sync": {"buckets": 4}})
    yield Mixture("buckets of gradients, hybrid", "vit_digits", hybrid, {"sync": {"buckets": 3}})
    rounds = {"sync": {"every": 4, "topology": "star", "server": "e"}}
    yield Mixture("rounds of 4", "vit_digits", whole, rounds)


@cache
def runs(optimizer: str, precision: str) -> dict[str, RunResult]:
    """Every mixture run for `STEPS` steps, beside the undivided run."""
    boards = cluster()
    with LocalPool() as pool:
        return {
            mixture.name: run(
                mixture.plan(optimizer, precision),
                catalog.workload(mixture.workload),
                boards,
                steps=STEPS,
                mode="raw",
                pool=pool,
            )
            for mixture in mixtures()
        }
