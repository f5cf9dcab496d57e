"""Reader of the suite `edge`: a folder a problem, with its cluster, its job and its workload or card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from models import catalog
from models.cluster import Cluster
from models.document import Document, read, validate
from models.errors import Fault, InputError
from models.workload import Precision, Workload

FILE = "problem.json"
CLUSTER, WORKLOAD = "cluster.json", "workload.json"


class FrozenReference(Document):
    """A card of the catalogue or a file beside the problem, as it was when the problem was drawn.

    Parameters
    ----------
    name
        Catalogue name, or name of a file in the folder of the problem.
    sha256
        Digest of what it means.
    """

    name: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class EdgeJob(Document):
    """What is asked: training, with these words of a job."""

    batch: int = Field(ge=1)
    optimizer: Literal["sgd", "momentum", "adamw"] = "sgd"
    precision: Precision = "fp32"
    tune: Literal["full", "lora"] = "full"
    lora_rank: int | None = Field(default=None, ge=1)


class StageThatFits(Document):
    """A stage of the chain that shows that the problem has an answer.

    Parameters
    ----------
    device
        Where.
    first, end
        Its first block in order, and the one after its last.
    """

    device: str
    first: int = Field(ge=0)
    end: int = Field(ge=1)


class EdgeProblem(Document):
    """A file ``problem.json``.

    Parameters
    ----------
    version
        Version of the format.
    name
        Name of the problem, and of its folder.
    regime
        Links: ``gigabit``, ``slow``, ``mixed`` or ``rooms``.
    memory
        ``tight`` or ``loose``.
    boards
        ``catalogue`` (speed and memory go together) or ``drawn`` (independent).
    workload, cluster
        What is trained, over what.
    job
        What is asked.
    num_micro_batches
        Micro-batches of a step, for every solver.
    fits
        Stages of one device each, first to last, that fit under the default in-flight rule.
    """

    version: Literal[1] = 1
    name: str = Field(min_length=1)
    regime: Literal["gigabit", "slow", "mixed", "rooms"]
    memory: Literal["tight", "loose"]
    boards: Literal["catalogue", "drawn"]
    workload: FrozenReference
    cluster: FrozenReference
    job: EdgeJob
    num_micro_batches: int = Field(ge=1)
    fits: tuple[StageThatFits, ...] = Field(min_length=1)


class EdgeInstance(NamedTuple):
    """A problem with what it names.

    Parameters
    ----------
    problem
        The file.
    workload, cluster
        What it names.
    """

    problem: EdgeProblem
    workload: Workload
    cluster: Cluster


def read_edge(path: Path) -> EdgeInstance:
    """Read a problem of the suite.

    Parameters
    ----------
    path
        Its file ``problem.json``.

    Raises
    ------
    InputError
        With every fault of the problem, the workload and the cluster, each with its path.
    """
    problem = read_edge_problem(path)
    faults: list[Fault] = []
    workload = _named(path, problem.workload, Workload, "workload", faults)
    cluster = _named(path, problem.cluster, Cluster, "cluster", faults)
    if problem.job.batch % problem.num_micro_batches:
        message = f"{problem.num_micro_batches} does not divide the batch of {problem.job.batch}"
        faults.append(Fault("num_micro_batches", message))
    if (problem.job.tune == "lora") != (problem.job.lora_rank is not None):
        faults.append(Fault("job.lora_rank", "belongs to tune lora, which needs it"))
    if isinstance(workload, Workload) and isinstance(cluster, Cluster):
        faults += _misfits(problem, workload, cluster)
        if not faults:
            return EdgeInstance(problem, workload, cluster)
    raise InputError(faults, str(path))


def read_edge_problem(path: Path) -> EdgeProblem:
    """Read the file of a problem alone, without what it names.

    Parameters
    ----------
    path
        Its file ``problem.json``.

    Raises
    ------
    InputError
        With every fault of the file.
    """
    return validate(EdgeProblem, read(path), str(path))


def _named(
    path: Path,
    reference: FrozenReference,
    kind: type[Workload] | type[Cluster],
    word: str,
    faults: list[Fault],
) -> Workload | Cluster | None:
    """Return what is named; ``None``, with faults added, if it cannot be read."""
    name = reference.name
    if name not in (CLUSTER, WORKLOAD) and (kind is Cluster or "/" in name or "." in name):
        needed = CLUSTER if kind is Cluster else f"{WORKLOAD} or a name of the catalogue"
        faults.append(Fault(f"{word}.name", f"{name!r} is not allowed; give {needed}"))
        return None
    try:
        if name in (CLUSTER, WORKLOAD):
            found: Workload | Cluster = validate(kind, read(path.parent / name), name)
        else:
            found = catalog.workload(name)
    except InputError as error:
        faults += [Fault(f"{name}:{f.path}" if f.path else name, f.message) for f in error.faults]
        return None
    if found.digest != reference.sha256:
        message = f"{name} has changed since the problem was frozen: {found.digest}, not {reference.sha256}"
        faults.append(Fault(f"{word}.sha256", message))
    return found


def _misfits(problem: EdgeProblem, workload: Workload, cluster: Cluster) -> list[Fault]:
    """Return where the chain that fits is none of the workload over the cluster."""
    faults = []
    if not workload.is_chain:
        faults.append(Fault("workload.name", f"{workload.name} is a DAG; the suite is of chains"))
    begin, used = 0, set()
    for i, stage in enumerate(problem.fits):
        if stage.device not in cluster.by_name:
            faults.append(Fault(f"fits.{i}.device", f"no device is called {stage.device!r}"))
        elif stage.device in used:
            faults.append(Fault(f"fits.{i}.device", f"{stage.device!r} has a stage before this one"))
        if stage.first != begin or stage.end <= stage.first:
            message = f"blocks {stage.first} to {stage.end} do not follow those before, which end at {begin}"
            faults.append(Fault(f"fits.{i}.first", message))
        begin = stage.end
        used.add(stage.device)
    if begin != len(workload.blocks):
        message = f"ends at block {begin}; {workload.name} has {len(workload.blocks)}"
        faults.append(Fault("fits", message))
    return faults
