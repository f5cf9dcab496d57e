"""toy: a chain of equal blocks on boards of given speeds; one case for each number of micro-batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Workload
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.suites.case import Case
from solver.suites.known import filled

UNIT = "ms"
FOLDER = Path(__file__).parent / "nowhere"


def cases(folder: Path) -> tuple[Case, ...]:
    faults, found = [], []
    for path in sorted(folder.glob("*/*.toy")):
        name = f"{path.parent.name}/{path.stem}"
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            faults.append(Fault(name, f"not valid JSON: {error}"))
            continue
        found += [Case("toy", name, str(path), "chain", {"micro_batches": m}) for m in (1, 2)]
    if faults:
        raise InputError(faults, "toy")
    return filled(found, folder)


def problem(case: Case) -> Problem:
    data = json.loads(Path(case.path).read_text(encoding="utf-8"))
    speeds, num_blocks = data["speeds"], data["num_blocks"]
    faults = [Fault("speeds", "at least one device is needed")] if not speeds else []
    faults += [Fault("num_blocks", f"{num_blocks}: at least 1 is needed")] if num_blocks < 1 else []
    if faults:
        raise InputError(faults, case.path)
    names = [f"x{i}" for i in range(len(speeds))]
    blocks = [
        {"name": f"b{i}", "forward_flop": 1.0, "backward_weight_flop": 1.0, "weight_bytes": 1}
        | ({"output_bytes": 1} if i + 1 < num_blocks else {})
        for i in range(num_blocks)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    devices = [
        {"name": name, "flop_per_s": {"fp32": speed}, "memory_bytes": data.get("memory_bytes", 1e9)}
        for name, speed in zip(names, speeds, strict=True)
    ]
    net = [{"name": "net", "members": names, "bandwidth_bytes_per_s": 1e12}] if len(names) > 1 else []
    return Problem(
        Workload.model_validate({"name": "chain", "blocks": blocks, "edges": edges}),
        Cluster.model_validate({"name": "boards", "devices": devices, "segments": net}),
        Job(batch=2),
        num_micro_batches=case.parameters["micro_batches"],
    )


def document(case: Case, plan: Plan, score: float) -> dict[str, Any]:
    stages = [list(stage.blocks) for stage in plan.pipelines[0].stages]
    return {
        "suite": "toy",
        "instance": case.instance,
        "variant": case.variant,
        **case.parameters,
        "stages": stages,
        "objective": score * 1e3,
    }
