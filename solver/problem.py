"""Problem: what is to be decided. Immutable, validated once, at construction, with every fault listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from models.cluster import Cluster
from models.document import sha256_of
from models.errors import Fault, InputError
from models.workload import Workload
from solver.costs import Costs
from solver.evaluate import OBJECTIVES, evaluate, score
from solver.job import Job
from solver.plan import Pipeline, Plan, Reference, Stage
from solver.report import Report
from solver.settings import Settings


@dataclass(frozen=True)
class Problem:
    """A workload to be shared out over a cluster.

    Parameters
    ----------
    workload, cluster, job
        What, over what, and how much.
    objective
        A key of :data:`solver.evaluate.OBJECTIVES`; minimised.
    num_micro_batches
        Micro-batches of a step; ``None``: the solver chooses (a divisor of the batch).
    schedule
        ``1f1b`` or ``gpipe``.
    settings
        Cost rules.
    workload_ref, cluster_ref
        How plans name the workload and the cluster: catalogue name or path.

    Raises
    ------
    InputError
        With every fault.
    """

    workload: Workload
    cluster: Cluster
    job: Job
    objective: str = "time"
    num_micro_batches: int | None = None
    schedule: str = "1f1b"
    settings: Settings = field(default_factory=Settings)
    workload_ref: str = ""
    cluster_ref: str = ""

    def __post_init__(self) -> None:
        """Validate."""
        faults = list(self._faults())
        if faults:
            raise InputError(faults, "problem")

    def _faults(self) -> Iterator[Fault]:
        if self.objective not in OBJECTIVES:
            yield Fault("objective", f"no objective {self.objective!r}; there are: {', '.join(OBJECTIVES)}")
        if self.schedule not in ("1f1b", "gpipe"):
            yield Fault("schedule", f"no schedule {self.schedule!r}; there are: 1f1b, gpipe")
        count = self.num_micro_batches
        if count is not None and (count < 1 or self.job.batch % count):
            yield Fault("num_micro_batches", f"{count} does not divide the batch of {self.job.batch}")
        for word in ("frozen", "trained"):
            for i, name in enumerate(getattr(self.job, word)):
                if name not in self.workload.by_name:
                    yield Fault(f"job.{word}.{i}", f"no block is called {name!r}")
        if not self.usable:
            message = f"no device of cluster {self.cluster.name} has a speed for {self.job.precision}"
            yield Fault("job.precision", message)
        if self.job.kind == "train" and self.workload.sinks:
            costs = Costs(self.workload, self.job)
            if all(how == "none" for how in costs.trains.values()):
                yield Fault(
                    "job", "nothing is trained: no block has weights that are not frozen, or adapters"
                )

    @cached_property
    def usable(self) -> tuple[str, ...]:
        """Devices that can compute in the job's precision."""
        return tuple(d.name for d in self.cluster.devices if self.job.precision in d.flop_per_s)

    @cached_property
    def costs(self) -> Costs:
        """Costs of the blocks under the job."""
        return Costs(self.workload, self.job)

    @property
    def micro_batch_counts(self) -> tuple[int, ...]:
        """Micro-batch counts a solver may choose from: the given one, or all divisors of the batch."""
        if self.num_micro_batches is not None:
            return (self.num_micro_batches,)
        batch = self.job.batch
        return tuple(count for count in range(1, batch + 1) if batch % count == 0)

    def plan(self, stages: Sequence[Stage], num_micro_batches: int) -> Plan:
        """Return a plan of one pipeline for this problem.

        Parameters
        ----------
        stages
            Its stages.
        num_micro_batches
            Micro-batches of a step; divides the batch.
        """
        samples = self.job.batch // num_micro_batches
        pipeline = Pipeline(micro_batches=num_micro_batches, samples=samples, stages=tuple(stages))
        return self.plan_of((pipeline,))

    def plan_of(self, pipelines: Sequence[Pipeline]) -> Plan:
        """Return a plan of several pipelines for this problem."""
        return Plan(
            workload=Reference(name=self.workload_ref or self.workload.name, sha256=self._digests[0]),
            cluster=Reference(name=self.cluster_ref or self.cluster.name, sha256=self._digests[1]),
            job=self.job,
            schedule="gpipe" if self.schedule == "gpipe" else "1f1b",
            pipelines=tuple(pipelines),
        )

    @cached_property
    def _digests(self) -> tuple[str, str]:
        return sha256_of(self.workload), sha256_of(self.cluster)

    def evaluate(self, plan: Plan) -> Report:
        """Return what a plan costs, by the one evaluator."""
        return evaluate(plan, self.workload, self.cluster, self.settings)

    def score(self, report: Report) -> float:
        """Return the figure of this problem's objective."""
        return score(report, self.objective)
