"""All phases of collaborative training in one folder: what `partage train` and `api.train` do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import catalog
from models.document import write_text
from models.errors import Fault, InputError, faults_in
from solver.asked import Asked, from_here
from solver.catalog import name_faults
from solver.lock import FolderLock
from solver.participation.rules import rule_of
from solver.phases.chain import LEDGER, Chain, Done, NoAnswer
from solver.phases.folder import NAMES, PARTICIPANTS, PARTS, PLAN, Wanted, check_trainable, phases_of, take_in
from solver.phases.training import Training, run_faults
from solver.repair.policy import POLICIES

if TYPE_CHECKING:
    from solver.problem import Problem

Say = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """How the phases are gone through.

    Parameters
    ----------
    plan
        File of one's own plan, in the place of the one made.
    until, only
        Last phase, or the one phase to do: profile, participants, plan, deploy or train.
    processes
        Without a cluster: devices that this machine is to be.
    rule
        Who chooses the participants; see :mod:`solver.participation.rules`.
    solver, time_limit_s, work_limit, seed
        Who plans, and within which limits.
    source
        Device on which the model lies; ``None``: the first of the plan.
    steps
        Training steps.
    mode
        ``padded`` or ``raw``; ``None``: raw where this machine is profiled, else padded.
    dilation, learning_rate, elastic, policy, respawn_s, checkpoint_every, reference
        See :class:`solver.phases.training.Training`.
    force
        Whether parts that were made for other words may be replaced.
    """

    plan: Path | None = None
    until: str | None = None
    only: str | None = None
    processes: int = 2
    rule: str = "exact"
    solver: str = "best"
    time_limit_s: float = 30.0
    work_limit: int | None = None
    seed: int = 0
    source: str | None = None
    steps: int = 100
    mode: str | None = None
    dilation: float | None = None
    learning_rate: float | None = None
    elastic: bool | None = None
    policy: str | None = None
    respawn_s: float | None = None
    checkpoint_every: int = 20
    reference: bool = True
    force: bool = False

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with it, whatever the problem."""
        for word, value in (("--until", self.until), ("--only", self.only)):
            if value is not None and value not in NAMES:
                yield Fault(word, f"no phase {value!r}; there are: {', '.join(NAMES)}")
        if self.until is not None and self.only is not None:
            yield Fault("--only", "it is one phase, --until all up to one; give one of the two")
        if self.policy is not None and self.policy not in POLICIES:
            yield Fault("--policy", f"no policy {self.policy!r}; there are: {', '.join(POLICIES)}")
        if self.respawn_s is not None and not 0 <= self.respawn_s < math.inf:
            yield Fault("--respawn", f"{self.respawn_s} is no number of seconds")
        yield from run_faults(self.mode or "padded", self.dilation, self.learning_rate)
        yield from self._number_faults()
        yield from faults_in(lambda: rule_of(self.rule))
        yield from name_faults(self.solver)

    def _number_faults(self) -> Iterator[Fault]:
        if not (math.isfinite(self.time_limit_s) and self.time_limit_s >= 0):
            yield Fault("--time-limit", f"{self.time_limit_s} is no number of seconds")
        least = {"processes": 1, "steps": 1, "seed": 0, "checkpoint_every": 0, "work_limit": 1}
        for word, number in least.items():
            given = getattr(self, word)
            if given is not None and given < number:
                yield Fault(f"--{word.replace('_', '-')}", f"must be {number} or more (given: {given})")


@dataclass(frozen=True)
class Trained:
    """What became of the phases.

    Parameters
    ----------
    folder
        Where their parts lie.
    phases
        Those that were gone through, in their order.
    refused
        Why a phase has no answer; empty if all have.
    report
        The page; ``None`` if there is none yet.
    """

    folder: Path
    phases: tuple[Done, ...]
    refused: str = ""
    report: Path | None = None

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """What came of each phase, by its name."""
        return {one.name: one.figures for one in self.phases}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "folder": str(self.folder),
            "phases": {one.name: one.to_json() for one in self.phases},
            "wall_s": sum(one.wall_s for one in self.phases),
            "refused": self.refused or None,
            "report": str(self.report) if self.report is not None else None,
        }


def train_all(asked: Asked, course: Course, out: Path, say: Say) -> Trained:
    """Go through the phases; what is there of the same words is kept.

    Parameters
    ----------
    asked
        The problem.
    course
        How.
    out
        Folder of all phases; the same call goes on in it.
    say
        Told what a person should know at once.

    Raises
    ------
    InputError
        With every fault, before anything is done; or if the folder holds the parts of other words.
    """
    faults = [Fault("--out", f"{out} is a file; give the name of a folder")] if out.is_file() else []
    try:
        asked = _completed(asked, course.plan)
    except InputError as error:
        raise InputError([*faults, *course.faults(), *error.faults], "train") from None
    course = replace(course, mode=course.mode or ("raw" if asked.words["cluster"] is None else "padded"))
    faults += course.faults()
    if course.plan is None:  # which has its problem in it
        faults += asked.faults()
    if faults:
        raise InputError(faults, "train")
    wanted = _wanted(asked, course)
    if (course.only or course.until or "train") == "train":
        check_trainable(catalog.workload(wanted.workload))
    with FolderLock(out, "training"):
        _sweep(out)
        return _walk(wanted, asked.words["participants"], out, course, say)


def _sweep(out: Path) -> None:
    """Remove half-written files of a call that was killed; whoever holds the folder is alone in it."""
    for name in (*PARTS, LEDGER):
        for stale in out.glob(f".{name}.*"):
            if stale.is_file():
                stale.unlink(missing_ok=True)


def _completed(asked: Asked, plan: Path | None) -> Asked:
    """Return what was asked; a person's own plan, or participants, say what is not said."""
    words = dict(asked.words)
    given: Any = None
    if plan is not None:
        from solver.loading import load

        given, base = load(plan).plan, plan.parent
    elif words["participants"] is not None:
        from solver.participation.document import read_participants

        given, base = read_participants(words["participants"]), words["participants"].parent
    if given is not None:
        for word, reference in (("workload", given.workload), ("cluster", given.cluster)):
            words[word] = words[word] or from_here(reference.name, base)
    return replace(asked, words=words)


def _wanted(asked: Asked, course: Course) -> Wanted:
    def asks(cluster: Path, participants: Path | None, out: Path) -> Problem:
        words = {**asked.words, "cluster": str(cluster.resolve()), "participants": participants}
        return replace(asked, words=words).problem(out)

    plain = {
        word: list(value) if isinstance(value, list | tuple) else value
        for word, value in asked.words.items()
        if word not in ("cluster", "participants")
    }
    return Wanted(
        asked.words["workload"],
        asked.words["cluster"],
        course.processes,
        asks,
        plain,
        rule=course.rule,
        solver=course.solver,
        time_limit_s=course.time_limit_s,
        work_limit=course.work_limit,
        seed=course.seed,
        source=course.source,
        training=Training(
            course.steps,
            "raw" if course.mode == "raw" else "padded",
            course.dilation,
            course.learning_rate,
            course.elastic,
            course.policy,
            course.respawn_s,
            course.checkpoint_every,
            course.reference,
        ),
    )


def _walk(wanted: Wanted, participants: Path | None, out: Path, course: Course, say: Say) -> Trained:
    """Do the phases, and write the page of what there is."""
    from solver.phases.page import PAGE, page

    origins = take_in(course.plan, participants, out, wanted)
    phases = phases_of(wanted, out, say)
    if course.plan is not None and not (out / PARTICIPANTS).exists():
        phases = [phase for phase in phases if phase.name != "participants"]
        say(f"participants: those of {course.plan} take part")
    chain = Chain(out, phases, say, force=course.force, origins=origins)
    refused = ""
    try:
        chain.run(course.only, course.until)
    except NoAnswer as error:
        refused = str(error)
    if chain.done and (out / PLAN).exists() and not refused:
        write_text(out / PAGE, page(out, chain.done), overwrite=True)
    report = out / PAGE if (out / PAGE).exists() and not refused else None
    return Trained(out, tuple(chain.done), refused, report)
