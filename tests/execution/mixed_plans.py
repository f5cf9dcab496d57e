"""Random plans that the executor can run, on small nets, by seed: modes, groups and words in any mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from models import catalog
from models.workload import Workload
from solver.plan import Plan
from tests.execution import plans
from tests.random_plans import cuts, parts

NAMES = ("a", "b", "c", "d")
NETS = ("vit_digits", "imu_motions", "vit_two_tasks", "gpt_letters", "cnn_digits")
TASKS = {"vit_two_tasks": ("digit", "parity")}


def units(workload: Workload, mode: str, blocks: list[str]) -> int:
    """Heads, or tokens, that a stage of these blocks may share; 0 if it cannot be cut so."""
    cards = [workload.by_name[name] for name in blocks]
    if not any(card.tensor and card.tensor.heads for card in cards):
        return 0  # without heads, shares would be columns
    if mode == "tensor":
        return max(card.tensor.heads or 0 for card in cards if card.tensor)
    return max(card.tokens for card in cards if card.sequence)


def shares(
    rng: Generator, mode: str, names: list[str], samples: int, cuttable: dict[str, int]
) -> dict[str, Any]:
    """Random shares of a group in one mode; a group of data may hold groups of another mode."""
    if mode != "data":
        names = names[: cuttable[mode]]
        return dict(zip(names, parts(rng, cuttable[mode], len(names)), strict=True))
    if len(names) > 2 and samples > 1 and all(cuttable.values()) and rng.random() < 0.7:
        first, rest = names[:2], names[2:]
        own, others = parts(rng, samples, 2)
        groups = []
        for size, members in ((own, first), (others, rest)):
            inner = str(rng.choice(["tensor", "sequence"]))
            inside = shares(rng, inner, members, size, cuttable)
            groups.append({"samples": size, "mode": inner, "shares": inside})
        if len(rest) == 1:
            return {"group": groups[0], rest[0]: others}
        return {"group": groups[0], "other": groups[1]}
    names = names[:samples]
    return dict(zip(names, parts(rng, samples, len(names)), strict=True))


def pipeline(
    rng: Generator, names: list[str], workload: Workload | None = None, most: int = 3
) -> dict[str, Any]:
    """A random pipeline of so many stages at most; a device may be in several stages."""
    workload = workload or catalog.workload("vit_digits")
    order, samples = list(workload.order), int(rng.integers(2, 6))
    num_stages = int(rng.integers(1, most + 1))
    stages = []
    for start, end in cuts(rng, len(order), num_stages):
        group = rng.permutation(names)[: int(rng.integers(1, len(names) + 1))].tolist()
        blocks = order[start:end]
        cuttable = {mode: units(workload, mode, blocks) for mode in ("tensor", "sequence")}
        can = all(cuttable.values())
        mode = str(rng.choice(["data", "tensor", "sequence"])) if can and len(group) > 1 else "data"
        given = shares(rng, mode, group if can else group[:2], samples, cuttable)
        stages.append({"blocks": blocks, "mode": mode, "shares": given})
    return {"micro_batches": int(rng.integers(1, 4)), "samples": samples, "stages": stages}


def mixed_plan(seed: int) -> Plan:
    """A random plan of one or two pipelines on four devices."""
    rng = np.random.default_rng(seed)
    lines = [pipeline(rng, list(NAMES)) for _ in range(int(rng.integers(1, 3)))]
    frozen = plans.VIT[: int(rng.integers(1, 6))] if rng.random() < 0.2 else []
    return plans.plan(lines, schedule=str(rng.choice(["1f1b", "gpipe"])), frozen=frozen)


def worded_case(seed: int) -> tuple[Plan, Workload]:
    """A random plan of any net, with recomputed blocks, adapters, frozen blocks, buckets and tasks by chance.

    Notes
    -----
    Not all can be run: a head that is tied to another block may be on other devices.
    """
    rng = np.random.default_rng([seed, 1])
    net = str(rng.choice(NETS))
    workload = catalog.workload(net)
    names = list(NAMES)[: int(rng.integers(2, 5))]
    most = 1 if net == "gpt_letters" and rng.random() < 0.7 else 3
    lines = [pipeline(rng, names, workload, most) for _ in range(1 + (rng.random() < 0.3))]
    for stage in (stage for line in lines for stage in line["stages"]):
        if rng.random() < 0.25:
            stage["recompute"] = [name for name in stage["blocks"] if rng.random() < 0.6]
    words: dict[str, Any] = {"optimizer": str(rng.choice(["sgd", "momentum"]))}
    if net in TASKS and rng.random() < 0.6:
        for line in lines:
            batches = [_batch(rng, TASKS[net], line["samples"]) for _ in range(line["micro_batches"])]
            line["micro_batches"] = batches
    if rng.random() < 0.2:
        words |= {"tune": "lora", "lora_rank": int(rng.integers(2, 9)), "trained": [workload.order[-1]]}
    elif rng.random() < 0.25:
        words["frozen"] = list(workload.order[: int(rng.integers(1, 1 + len(workload.order) // 2))])
    if rng.random() < 0.3:
        words["sync"] = {"buckets": int(rng.integers(2, 5))}
    return plans.plan(lines, net, schedule=str(rng.choice(["1f1b", "gpipe"])), **words), workload


def _batch(rng: Generator, tasks: tuple[str, ...], samples: int) -> dict[str, Any]:
    """A micro-batch whose samples belong to one task each; a task may have none."""
    first = int(rng.integers(0, samples + 1))
    return {"samples": samples, "tasks": dict(zip(tasks, (first, samples - first), strict=True))}
