"""Plan: a decision, pure data. Versioned JSON that names its workload and cluster and carries its job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from models.document import Document, canonical, dump_json
from models.errors import Fault, InputError
from solver.job import Job
from solver.problem import LeftOut, Problem

VERSION = 1

Mode = Literal["data", "tensor", "sequence"]
Positive = Annotated[int, Field(ge=1)]


class Reference(Document):
    """A workload or cluster, by catalogue name or by a path relative to the plan.

    Parameters
    ----------
    name
        Catalogue name, or a path ending in ``.json``, ``.yaml`` or ``.yml``.
    sha256
        Digest of what it meant when the plan was made; null: whatever it is now.
    """

    name: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Group(Document):
    """A share that is itself a group: so many samples, cut again inside.

    Parameters
    ----------
    samples
        Samples of each micro-batch for the group.
    mode, shares
        How the group cuts its work.
    """

    samples: int = Field(ge=1)
    mode: Mode
    shares: Shares


class Explicit(Document):
    """Shares given per dimension where they do not follow in proportion.

    Parameters
    ----------
    heads, columns, tokens
        Units of each device in that dimension.
    """

    heads: dict[str, Positive] | None = None
    columns: dict[str, Positive] | None = None
    tokens: dict[str, Positive] | None = None

    @model_validator(mode="after")
    def _same_devices(self) -> Self:
        given = [table for table in (self.heads, self.columns, self.tokens) if table]
        if not given or any(list(table) != list(given[0]) for table in given):
            raise ValueError("heads, columns and tokens must name the same devices in the same order")
        return self

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices."""
        return tuple(self.heads or self.columns or self.tokens or ())


def _shares_tag(value: Any) -> str:
    if isinstance(value, Explicit):
        return "<explicit>"
    given = isinstance(value, dict) and value and set(value) <= {"heads", "columns", "tokens"}
    return "<explicit>" if given else "<table>"


def _share_tag(value: Any) -> str:
    return "<group>" if isinstance(value, dict | Group) else "<units>"


def _micro_batches_tag(value: Any) -> str:
    return "<list>" if isinstance(value, list | tuple) else "<number>"


Share = Annotated[
    Annotated[Positive, Tag("<units>")] | Annotated[Group, Tag("<group>")], Discriminator(_share_tag)
]
ShareTable = Annotated[dict[str, Share], Field(min_length=1)]
Shares = Annotated[
    Annotated[Explicit, Tag("<explicit>")] | Annotated[ShareTable, Tag("<table>")],
    Discriminator(_shares_tag),
]


Group.model_rebuild()


class Stage(Document):
    """A set of blocks on a group of devices.

    Parameters
    ----------
    blocks
        Names of blocks; a convex set of the workload.
    mode
        How the group shares the work: samples (``data``), heads and columns (``tensor``) or tokens
        (``sequence``).
    shares
        Device to its share. Data: samples of each micro-batch; tensor: heads (columns follow in
        proportion); sequence: tokens. A share may be a nested group.
    in_flight
        Most micro-batches whose forward is done and whose backward is not; default 2 x depth - 1.
    recompute
        Blocks whose kept activations are dropped and computed again in the backward pass.
    variants
        Block to which of its measured variants it runs, counted from 0; 0 where it is not named. Read by
        the cost rule ``piper`` only.
    instances
        Serving: copies of the service per device, each with a compute lane of its own; without it the
        services of a device take turns on one lane.
    routing
        Serving: weight of each device; requests go round by smooth weighted round robin. In mode data a
        request is served by one device, whatever the shares; in modes tensor and sequence by the group.
    ring
        All devices of the group, nested groups opened, in the order in which rings join them: a ring of some
        of them leaves the others out. Empty: a ring begins with the first of its members in the order of
        ``shares`` and goes on to the nearest that is left. A ring of devices that no one stage holds
        together, as of several pipelines, always does.
    """

    blocks: tuple[str, ...] = Field(min_length=1)
    mode: Mode = "data"
    shares: Shares
    in_flight: int | None = Field(default=None, ge=1)
    recompute: tuple[str, ...] = ()
    variants: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    instances: dict[str, Positive] = Field(default_factory=dict)
    routing: dict[str, float] | None = None
    ring: tuple[str, ...] = ()


class MicroBatch(Document):
    """A micro-batch that differs from the others.

    Parameters
    ----------
    samples
        How many.
    tasks
        Samples per task, in this order; they add up to ``samples``. Null: every sample counts for
        every task.
    modalities
        What is present; null: everything.
    """

    samples: int = Field(ge=1)
    tasks: dict[str, Annotated[int, Field(ge=0)]] | None = None
    modalities: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.tasks is not None and sum(self.tasks.values()) != self.samples:
            raise ValueError(f"tasks add up to {sum(self.tasks.values())}, samples is {self.samples}")
        return self


class Pipeline(Document):
    """A cut of the whole workload, and its part of the batch.

    Parameters
    ----------
    micro_batches
        How many of ``samples`` each, or a list where they differ.
    samples
        Samples of a micro-batch; the shares of data mode add up to it.
    stages
        The stages; together they hold every block once.
    """

    micro_batches: Annotated[
        Annotated[Positive, Tag("<number>")]
        | Annotated[tuple[MicroBatch, ...], Field(min_length=1), Tag("<list>")],
        Discriminator(_micro_batches_tag),
    ]
    samples: int = Field(ge=1)
    stages: tuple[Stage, ...] = Field(min_length=1)

    @property
    def batches(self) -> tuple[MicroBatch, ...]:
        """The micro-batches, one by one."""
        if isinstance(self.micro_batches, int):
            return (MicroBatch(samples=self.samples),) * self.micro_batches
        return self.micro_batches

    @property
    def num_micro_batches(self) -> int:
        """How many micro-batches."""
        return self.micro_batches if isinstance(self.micro_batches, int) else len(self.micro_batches)

    @property
    def num_samples(self) -> int:
        """Samples of a step."""
        if isinstance(self.micro_batches, int):
            return self.micro_batches * self.samples
        return sum(batch.samples for batch in self.micro_batches)


class Sync(Document):
    """How copies of a block stay the same.

    Parameters
    ----------
    every
        Steps between two synchronisations; 1: gradients are reduced in every step.
    buckets
        Parts of a stage's gradients that are reduced apart. 1: a reduction begins when its gradients are
        final on every member, and lets every message on its links go first. N > 1: the pass of a stage's
        last micro-batch is cut between blocks into at most N computations of about equal gradient bytes;
        what one of them makes final is reduced at once, while the blocks before it are still computed, and
        messages on the same links wait.
    topology
        ``ring`` or ``star``.
    server
        Centre of the star.
    rule
        What is aggregated when ``every`` > 1: ``fedavg`` (all trained weights), ``zero_pad`` (adapters
        padded to the largest rank, truncated on the way back), ``stack`` (adapters concatenated: the
        download has the sum of the ranks), ``ffa`` (the A factors are the same everywhere and frozen:
        only the B factors are trained and move).
    """

    every: int = Field(default=1, ge=1)
    buckets: int = Field(default=1, ge=1)
    topology: Literal["ring", "star"] = "ring"
    server: str | None = None
    rule: Literal["fedavg", "zero_pad", "stack", "ffa"] = "fedavg"

    @model_validator(mode="after")
    def _server(self) -> Self:
        if (self.topology == "star" or self.every > 1) and self.server is None:
            raise ValueError("a star, and every sync with every > 1, needs a server")
        if self.every > 1 and self.topology != "star":
            raise ValueError("every > 1 uploads to a server: topology must be star")
        if self.every > 1 and self.buckets > 1:
            raise ValueError("buckets > 1 cuts the reductions of a step; with every > 1 there are none")
        return self


class DeviceChoice(Document):
    """What the plan decides about one device.

    Parameters
    ----------
    rank
        Its LoRA rank, if not the job's.
    power_mode
        One of the device's power modes.
    bandwidth_hz, tx_power_w
        Its share of the radio spectrum, and its transmit power.
    """

    rank: int | None = Field(default=None, ge=1)
    power_mode: str | None = None
    bandwidth_hz: float | None = Field(default=None, gt=0)
    tx_power_w: float | None = Field(default=None, gt=0)


class Backup(Document):
    """A copy of a stage's weights on another device, renewed now and then.

    Parameters
    ----------
    stage
        Pipeline and stage, counted from 0.
    on
        Device that keeps the copy.
    every
        Steps between two renewals.
    """

    stage: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    on: str
    every: int = Field(default=1, ge=1)


class Plan(Document):
    """A whole plan.

    Parameters
    ----------
    version
        Version of the format.
    workload, cluster
        What is cut, and over what.
    job
        What is asked.
    schedule
        ``1f1b``: after its in-flight cap a stage takes one backward, then one forward, in turn;
        ``gpipe``: all forwards, then all backwards.
    pipelines
        One, or several side by side.
    sync
        How copies stay the same.
    copies
        ``shared``: a device holds one copy of a block for all its pipelines; ``per_pipeline``: one each, with
        one gradient together, or, with ``sync.every`` above 1, trained apart between two synchronisations.
    devices
        Decisions per device.
    left_out
        What devices do that are in no stage: ``idle``, ``sleep`` or ``off``.
    backup
        Copies for fault tolerance.
    """

    version: int = Field(default=VERSION, ge=1)
    workload: Reference
    cluster: Reference
    job: Job
    schedule: Literal["1f1b", "gpipe"] = "1f1b"
    pipelines: tuple[Pipeline, ...] = Field(min_length=1)
    sync: Sync = Sync()
    copies: Literal["shared", "per_pipeline"] = "shared"
    devices: dict[str, DeviceChoice] = Field(default_factory=dict)
    left_out: LeftOut = "idle"
    backup: tuple[Backup, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _not_newer(cls, data: Any) -> Any:
        if isinstance(data, dict):
            version = data.get("version", VERSION)
            if isinstance(version, int | float) and version > VERSION:
                message = f"plan of version {version}; this partage reads up to {VERSION}: upgrade it"
                raise InputError([Fault("version", message)], "plan")
        return data

    def to_json(self) -> str:
        """Return the plan as JSON text that reads back to the same plan, byte for byte."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        job = self.job.model_dump(mode="json", exclude_none=True)
        return dump_json({"version": self.version, **data, "job": job})

    @property
    def key(self) -> str:
        """One text that two plans share only if they decide the same."""
        return canonical(self.model_dump(mode="json", exclude_defaults=True))


def share_devices(shares: Explicit | dict[str, int | Group]) -> tuple[str, ...]:
    """Return the devices of a share table in order, nested groups opened."""
    if isinstance(shares, Explicit):
        return shares.devices
    found: list[str] = []
    for name, share in shares.items():
        found.extend(share_devices(share.shares) if isinstance(share, Group) else (name,))
    return tuple(found)


def with_shares(stage: Stage, shares: Shares) -> Stage:
    """Return a stage with other shares; a ring it names goes on among those of its devices that are left.

    Parameters
    ----------
    stage, shares
        The stage, and what its devices get.

    Notes
    -----
    Where a device is new to the group, the ring says nothing of it and is dropped.
    """
    names = share_devices(shares)
    left = tuple(name for name in stage.ring if name in names)
    ring = left if len(left) == len(names) else ()
    return stage.model_copy(update={"shares": shares, "ring": ring})


def participants_of(plan: Plan) -> frozenset[str]:
    """Return the devices that are in a stage of a plan."""
    stages = [stage for pipeline in plan.pipelines for stage in pipeline.stages]
    return frozenset(name for stage in stages for name in share_devices(stage.shares))


def plan_of(problem: Problem, pipelines: Sequence[Pipeline]) -> Plan:
    """Return the plan of some pipelines for a problem; it names the problem's workload and cluster.

    Parameters
    ----------
    problem
        What is decided.
    pipelines
        The pipelines.
    """
    workload, cluster = problem.workload, problem.cluster
    return Plan(
        workload=Reference(name=problem.workload_ref or workload.name, sha256=workload.digest),
        cluster=Reference(name=problem.cluster_ref or cluster.name, sha256=cluster.digest),
        job=problem.job,
        schedule="gpipe" if problem.schedule == "gpipe" else "1f1b",
        pipelines=tuple(pipelines),
        left_out=problem.left_out,
    )


def pipeline_plan(problem: Problem, stages: Sequence[Stage], num_micro_batches: int) -> Plan:
    """Return the plan of one pipeline for a problem.

    Parameters
    ----------
    problem
        What is decided.
    stages
        The pipeline's stages.
    num_micro_batches
        Micro-batches of a step; divides the batch.
    """
    samples = problem.job.batch // num_micro_batches
    pipeline = Pipeline(micro_batches=num_micro_batches, samples=samples, stages=tuple(stages))
    return plan_of(problem, (pipeline,))
