"""Task: one run of a bench, plain data that crosses processes and machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from solver.suites.case import Case


@dataclass(frozen=True)
class Task:
    """One solver on one case with one seed.

    Parameters
    ----------
    suite
        Name of the suite, or path of its file.
    case
        The case.
    solver, solver_name
        What the solver is found by (name in the catalogue, or path), and what it is called.
    seed
        Makes everything random repeatable.
    time_limit_s, work_limit
        When the solver has to stop.
    grace_s
        Seconds after its time limit at which a run is stopped from outside.
    memory_limit_bytes
        Peak memory at which a run is stopped; ``None``: no limit.
    jobs
        Runs at the same time on the machine.
    file
        Stem of the names of its files, unique in the bench.
    sha256
        Digest of the problem.
    solver_sha256
        Digest of the solver's file, if it is not of the catalogue.
    """

    suite: str
    case: Case
    solver: str
    solver_name: str
    seed: int
    time_limit_s: float
    work_limit: int | None
    grace_s: float
    memory_limit_bytes: int | None
    jobs: int
    file: str
    sha256: str
    solver_sha256: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes a run of a bench the same run: case, solver, seed."""
        return self.case.name, self.solver_name, self.seed

    @property
    def request(self) -> dict[str, Any]:
        """What the process of the run is asked, as JSON."""
        return {
            "suite": self.suite,
            "case": asdict(self.case),
            "solver": self.solver,
            "seed": self.seed,
            "time_limit_s": self.time_limit_s,
            "work_limit": self.work_limit,
            "stop_after_s": self.time_limit_s + self.grace_s,
            "memory_limit_bytes": self.memory_limit_bytes,
        }
