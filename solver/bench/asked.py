"""Plan of runs: what a bench is asked, checked before anything runs, and the tasks it means."""

from __future__ import annotations

import fnmatch
import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from models.document import sha256_of
from models.errors import Fault, InputError
from solver import catalog as solvers
from solver.bench.run import ask
from solver.bench.task import Task
from solver.problem import Problem
from solver.suites import catalog as suites
from solver.suites.case import Case

GRACE_S = 10.0
"""Seconds after its time limit at which a run is stopped from outside."""

_LONGEST_STEM = 180
_DOCUMENTS = ("workload", "cluster", "job")


@dataclass(frozen=True)
class Asked:
    """What a bench is asked.

    Parameters
    ----------
    suite
        Name of a suite, or path of its file.
    solvers
        Names in the catalogue, or paths of files.
    time_limit_s, work_limit
        When a solver has to stop.
    num_seeds
        Every solver runs on every case with the seeds 0, 1, ...
    instances
        Folder of instances in the suite's format; ``None``: those that come with the project.
    select
        Patterns, as in a shell, of the names of cases; empty: all.
    grace_s
        Seconds after its time limit at which a run is stopped from outside.
    memory_limit_bytes
        Peak memory at which a run is stopped; ``None``: no limit.

    Raises
    ------
    InputError
        With every fault, at construction.
    """

    suite: str
    solvers: tuple[str, ...]
    time_limit_s: float
    num_seeds: int = 1
    instances: Path | None = None
    select: tuple[str, ...] = ()
    work_limit: int | None = None
    grace_s: float = GRACE_S
    memory_limit_bytes: int | None = None

    def __post_init__(self) -> None:
        """Validate what can be validated without reading instances."""
        faults = []
        if not (math.isfinite(self.time_limit_s) and self.time_limit_s > 0):
            faults.append(Fault("--time-limit", f"{self.time_limit_s} is no positive number of seconds"))
        if not (math.isfinite(self.grace_s) and self.grace_s > 0):
            faults.append(Fault("--grace", f"{self.grace_s} is no positive number of seconds"))
        if self.num_seeds < 1:
            faults.append(Fault("--seeds", f"{self.num_seeds} seeds: at least 1 is needed"))
        if self.work_limit is not None and self.work_limit < 1:
            faults.append(Fault("--work-limit", f"{self.work_limit} units: at least 1 is needed"))
        if not self.solvers:
            faults.append(Fault("--solvers", "no solver is named (partage list solvers shows all)"))
        names = [_solver_name(ref) for ref in self.solvers]
        faults += [
            Fault("--solvers", f"two solvers are called {name}")
            for name in sorted(set(names))
            if names.count(name) > 1
        ]
        if faults:
            raise InputError(faults, "bench")

    @cached_property
    def module(self) -> Any:
        """The suite."""
        return suites.load(self.suite)

    @property
    def folder(self) -> Path:
        """Folder of the instances."""
        return Path(self.instances if self.instances is not None else self.module.FOLDER)

    @property
    def suite_name(self) -> str:
        """Name of the suite."""
        return Path(self.suite).stem.replace("_", "-") if self.suite.endswith(".py") else self.suite

    @property
    def common(self) -> dict[str, Any]:
        """What all runs of a bench's folder have in common; solvers, seeds and cases may be added later."""
        return {
            "format": 1,
            "suite": self.suite_name,
            "unit": self.module.UNIT,
            "instances": str(self.folder.resolve()) if self.instances is not None else None,
            "time_limit_s": self.time_limit_s,
            "work_limit": self.work_limit,
            "memory_limit_bytes": self.memory_limit_bytes,
        }


def check_solvers(asked: Asked) -> None:
    """Raise with every solver that there is not, or that cannot be loaded.

    Parameters
    ----------
    asked
        What a bench is asked.

    Raises
    ------
    InputError
        With every fault. Files are loaded in a process of their own: what they print or break stays there.
    """
    faults = []
    for ref in asked.solvers:
        if not ref.endswith(".py") and ref not in solvers.names():
            try:
                solvers.load(ref)
            except InputError as error:
                faults += [Fault("--solvers", fault.message) for fault in error.faults]
        elif ref.endswith(".py") and not Path(ref).is_file():
            faults.append(Fault("--solvers", f"there is no file {ref}"))
    if faults:
        raise InputError(faults, "bench")
    told = ask({"probe": list(asked.solvers), "time_limit_s": 60.0, "memory_limit_bytes": None})
    if told["answer"] is None:
        raise InputError([Fault("--solvers", f"loading the solvers: {told['reason']}")], "bench")
    faults = [Fault("--solvers", message) for _, message in told["answer"]["faults"]]
    if faults:
        raise InputError(faults, "bench")


@dataclass(frozen=True)
class Chosen:
    """A case to run, the stem of the names of its files, and the digest of its problem."""

    case: Case
    stem: str
    sha256: str


def chosen_cases(asked: Asked, progress: Callable[[int, int], None] | None = None) -> list[Chosen]:
    """Return the cases that are asked for, every one read and found sound.

    Parameters
    ----------
    asked
        What a bench is asked.
    progress
        Called with (cases read, cases).

    Raises
    ------
    InputError
        With every fault of every file: nothing runs while one of the instances is damaged.
    """
    module, folder = asked.module, asked.folder
    if not folder.is_dir():
        raise InputError([Fault("--instances", f"there is no folder {folder}")], "bench")
    everything: tuple[Case, ...] = module.cases(folder)
    if not everything:
        message = f"{folder} holds no instance of suite {asked.suite_name}"
        raise InputError([Fault("--instances", message)], "bench")
    chosen = [case for case in everything if _selected(case, asked.select)]
    if not chosen:
        some = ", ".join(case.name for case in everything[:5])
        message = (
            f"no case is called like {' or '.join(asked.select)}; there are {len(everything)}: {some}, ..."
        )
        raise InputError([Fault("--select", message)], "bench")
    names = stems(everything)
    found: list[Chosen] = []
    faults: dict[Fault, None] = {}  # one file often makes several cases
    for number, case in enumerate(chosen, 1):
        try:
            found.append(Chosen(case, names[case.name], _digest(module.problem(case))))
        except InputError as error:
            file = os.path.relpath(case.path, folder)
            faults |= {Fault(f"{file}: {one.path}".rstrip(": "), one.message): None for one in error.faults}
        if progress:
            progress(number, len(chosen))
    if faults:
        raise InputError(faults, str(folder))
    return found


def _digest(problem: Problem) -> str:
    """Return the digest of what a problem means."""
    rest = [getattr(problem, one.name) for one in fields(problem) if one.name not in _DOCUMENTS]
    parts = [*(sha256_of(getattr(problem, name)) for name in _DOCUMENTS), *map(repr, rest)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _selected(case: Case, patterns: Sequence[str]) -> bool:
    if not patterns:
        return True
    names = (case.name, case.instance)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def tasks(asked: Asked, chosen: Sequence[Chosen], jobs: int) -> list[Task]:
    """Return every run that is asked for: case by case, so that early results compare all solvers.

    Parameters
    ----------
    asked, chosen
        What a bench is asked, and its cases.
    jobs
        Runs at the same time.
    """
    return [
        Task(
            suite=str(Path(asked.suite).resolve()) if asked.suite.endswith(".py") else asked.suite,
            case=one.case,
            solver=str(Path(ref).resolve()) if ref.endswith(".py") else ref,
            solver_name=_solver_name(ref),
            seed=seed,
            time_limit_s=asked.time_limit_s,
            work_limit=asked.work_limit,
            grace_s=asked.grace_s,
            memory_limit_bytes=asked.memory_limit_bytes,
            jobs=jobs,
            file=f"{one.stem}__{_solver_name(ref)}__{seed}",
            sha256=one.sha256,
            solver_sha256=_sha256(ref) if ref.endswith(".py") else None,
        )
        for one in chosen
        for ref in asked.solvers
        for seed in range(asked.num_seeds)
    ]


def stems(everything: Sequence[Case]) -> dict[str, str]:
    """Return, by name, the stem of the files of every case: short, safe, and unique among all of the folder.

    Parameters
    ----------
    everything
        All cases of a folder.

    Notes
    -----
    The instance, with the variant and then the parameters where one instance has several cases. Characters
    other than letters, digits and ``._=+-`` become ``-``: ``layer/bert24_inference:contiguous`` is
    ``layer-bert24_inference-contiguous``. Names that would become equal or very long end in ``~`` and eight
    digits of the sha256 of the case's name.
    """
    instances = Counter(case.instance for case in everything)
    variants = Counter((case.instance, case.variant) for case in everything)
    plain = {}
    for case in everything:
        text = case.name
        if instances[case.instance] == 1:
            text = case.instance
        elif variants[case.instance, case.variant] == 1:
            text = f"{case.instance}:{case.variant}"
        plain[case.name] = re.sub(r"[^A-Za-z0-9._=+-]", "-", text).lstrip(".")
    folded = Counter(text.casefold() for text in plain.values())
    return {
        name: text if folded[text.casefold()] == 1 and 0 < len(text) <= _LONGEST_STEM else _marked(text, name)
        for name, text in plain.items()
    }


def _marked(text: str, name: str) -> str:
    return f"{text[:_LONGEST_STEM]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _solver_name(ref: str) -> str:
    return Path(ref).stem if ref.endswith(".py") else ref


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
