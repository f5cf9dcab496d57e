"""Folder: the five phases as parts of one folder, each made from those before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from models import catalog
from models.document import read, write_text
from models.errors import Fault, InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.loading import load
from solver.phases.chain import NoAnswer, Phase, digest_of_file
from solver.phases.deploy import deploy
from solver.phases.own_cluster import this_machine, write_cluster
from solver.phases.training import FIGURES, Say, Training, train, why_not_elastic
from solver.plan import Plan, Reference, share_devices
from solver.problem import Problem

NAMES = ("profile", "participants", "plan", "deploy", "train")
CLUSTER, PARTICIPANTS, PLAN, DEPLOYMENT, TRAINING = PARTS = (
    "1_cluster.yaml",
    "2_participants.json",
    "3_plan.json",
    "4_deployment",
    "5_training",
)


class Asks(Protocol):
    """Says the problem for a cluster, and for those who were chosen, as the person asked for it."""

    def __call__(self, cluster: Path, participants: Path | None, out: Path) -> Problem:
        """Return the problem; paths in what is made from it are relative to ``out``."""


@dataclass(frozen=True)
class Wanted:
    """What a person asked for.

    Parameters
    ----------
    workload
        Catalogue name, or path.
    cluster
        The same; ``None``: this machine is measured.
    num_processes
        Devices that this machine is to be.
    asks, words
        The problem, and what was said of it as plain data.
    rule
        Who chooses the participants.
    solver, time_limit_s, work_limit, seed
        Who plans. Choosing participants has the same time, and all it needs where work is limited.
    source
        Device on which the model lies.
    training
        How it is trained.
    """

    workload: str
    cluster: str | None
    num_processes: int
    asks: Asks
    words: Mapping[str, Any]
    rule: str = "exact"
    solver: str = "best"
    time_limit_s: float = 30.0
    work_limit: int | None = None
    seed: int = 0
    source: str | None = None
    training: Training = field(default_factory=Training)


def trainable() -> tuple[str, ...]:
    """Return the workloads of the catalogue whose nets train here."""
    found = [entry.name for entry in catalog.entries("workloads") if entry.error is None]
    return tuple(name for name in found if catalog.workload(name).net is not None)


def check_trainable(workload: Workload) -> None:
    """Raise if a workload cannot be trained here, before anything is done for it.

    Raises
    ------
    InputError
        With the workloads that can.
    """
    if workload.net is None:
        message = f"{workload.name} names no net that can be trained here; these do: {', '.join(trainable())}"
        more = "its phases up to deploy can be done: --until deploy"
        raise InputError([Fault("--workload", f"{message}; {more}")], "train")


def phases_of(wanted: Wanted, folder: Path, say: Say) -> list[Phase]:
    """Return the phases of a folder.

    Parameters
    ----------
    wanted, folder
        What is made, and where.
    say
        Told what a person should know at once.
    """
    cluster, participants, plan, deployment, training = (folder / part for part in PARTS)
    seed = {"seed": wanted.seed}
    limits = {"time_limit": wanted.time_limit_s, "work_limit": wanted.work_limit}
    elastic = wanted.training.elastic
    words: list[Mapping[str, Any]] = [
        {"cluster": wanted.cluster, "processes": wanted.num_processes if wanted.cluster is None else None},
        {**wanted.words, "rule": wanted.rule, **limits, **seed},
        {**wanted.words, "solver": wanted.solver, **limits, **seed, "elastic": elastic},
        {"from": wanted.source, **seed},
        {word: value for word, value in wanted.training.words().items() if word != "steps"},
    ]
    make: list[Callable[[], dict[str, Any]]] = [
        lambda: _profile(wanted, cluster),
        lambda: _choose(wanted, cluster, participants, say),
        lambda: _plan(wanted, cluster, participants, plan, say),
        lambda: deploy(
            load(plan), deployment, seed=wanted.seed, source=wanted.source, overwrite=True
        ).to_json(),
        lambda: train(load(plan), deployment, training, wanted.training, say),
    ]
    tell: list[Callable[[], dict[str, Any]]] = [
        lambda: cluster_figures(cluster),
        lambda: participants_figures(participants),
        lambda: plan_figures(plan),
        lambda: deployment_figures(deployment),
        lambda: dict(read(training / FIGURES)),
    ]
    digest: list[Callable[[Path], str | None]] = [digest_of_file] * 3
    digest += [deployment_digest, lambda path: training_digest(path, wanted.training.steps)]
    return [Phase(*one) for one in zip(NAMES, PARTS, words, make, tell, digest, strict=True)]


def take_in(plan: Path | None, participants: Path | None, folder: Path, wanted: Wanted) -> dict[str, str]:
    """Put a person's own parts into the folder, with names of files that hold from there.

    Parameters
    ----------
    plan, participants
        Files of theirs.
    folder
        The folder.
    wanted
        What else was said.

    Returns
    -------
    dict
        Where the parts that came from these files are from, by part.

    Raises
    ------
    InputError
        If they are for another workload or cluster than what was said; nothing is written then.
    """
    faults = list(_misfits(plan, participants, wanted))
    if faults:
        raise InputError(faults, "train")
    origins = {}
    if plan is not None:
        theirs = load(plan)
        origins[PLAN] = f"it is {plan}, from --plan"
        if not (folder / CLUSTER).exists():
            write_cluster(folder / CLUSTER, theirs.cluster)
        if catalog.cluster(str((folder / CLUSTER).resolve())).digest == theirs.cluster.digest:
            origins[CLUSTER] = f"it is the cluster that {plan} is for"
        _put(folder / PLAN, _named(theirs.at(folder), theirs.cluster.digest).to_json())
    if participants is not None:
        from solver.participation.document import read_participants

        given = read_participants(participants)
        origins[PARTICIPANTS] = f"it is {participants}, from --participants"
        reference = Reference(name=f"./{CLUSTER}", sha256=given.cluster.sha256)
        _put(folder / PARTICIPANTS, given.model_copy(update={"cluster": reference}).to_json())
    return origins


def _misfits(plan: Path | None, participants: Path | None, wanted: Wanted) -> Iterator[Fault]:
    """Yield what a person's own parts are for, where something else was said."""
    said = {
        "--workload": (wanted.workload, catalog.workload(wanted.workload).digest),
        "--cluster": (wanted.cluster, catalog.cluster(wanted.cluster).digest if wanted.cluster else None),
    }
    given: list[tuple[str, Path, Mapping[str, tuple[str, str | None]]]] = []
    named: dict[str, tuple[str, str | None]]
    if plan is not None:
        theirs = load(plan)
        named = {
            "--workload": (theirs.plan.workload.name, theirs.workload.digest),
            "--cluster": (theirs.plan.cluster.name, theirs.cluster.digest),
        }
        given.append(("--plan", plan, named))
    if participants is not None:
        from solver.participation.document import read_participants

        group = read_participants(participants)
        named = {
            "--workload": (group.workload.name, group.workload.sha256),
            "--cluster": (group.cluster.name, group.cluster.sha256),
        }
        given.append(("--participants", participants, named))
    for word, path, names in given:
        for other, (name, digest) in names.items():
            what, wanted_digest = said[other]
            if wanted_digest is not None and digest is not None and digest != wanted_digest:
                message = f"{word} {path} is for {name} ({digest[:12]}), given is {what}"
                yield Fault(other, f"{message} ({wanted_digest[:12]}); leave {other} out, or {word}")


def _put(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text, overwrite=True)


def _named(plan: Plan, digest: str) -> Plan:
    """Return a plan that names the cluster of its folder."""
    return plan.model_copy(update={"cluster": Reference(name=f"./{CLUSTER}", sha256=digest)})


def _profile(wanted: Wanted, path: Path) -> dict[str, Any]:
    if wanted.cluster is None:
        write_cluster(path, this_machine(catalog.workload(wanted.workload), wanted.num_processes))
    else:
        write_cluster(path, catalog.cluster(wanted.cluster))
    return cluster_figures(path)


def cluster_figures(path: Path) -> dict[str, Any]:
    """Return what a cluster's file says: its devices and what nobody measured."""
    found = catalog.cluster(str(path.resolve()))
    return {
        "cluster": found.name,
        "devices": [device.name for device in found.devices],
        "num_estimates": sum(len(device.estimates) for device in found.devices),
    }


def _choose(wanted: Wanted, cluster: Path, path: Path, say: Say) -> dict[str, Any]:
    from solver.participation.choice import choose, compare_all
    from solver.participation.coalitions import Coalitions
    from solver.participation.document import document_of
    from solver.participation.kinds import kinds_of, num_groups
    from solver.participation.planner import planner_for
    from solver.progress import weighing

    problem = wanted.asks(cluster, None, path)
    planner = planner_for(num_groups(kinds_of(problem)), None, None, wanted.seed)
    time_limit_s = math.inf if wanted.work_limit is not None else wanted.time_limit_s
    coalitions = Coalitions(problem, planner, time_limit_s=time_limit_s)
    beside = [rule for rule in compare_all() if rule != "exact"]  # which would plan for every group
    with weighing() as progress:
        choice = choose(coalitions, wanted.rule, beside, progress)
    made = document_of(coalitions, choice)
    if made is None:
        timely = f", or none was found within {time_limit_s:g} s" if choice.was_stopped else ""
        raise NoAnswer(f"rule {wanted.rule}: no plan of any such group keeps every limit{timely}")
    if choice.was_stopped:
        say(f"participants: stopped after {time_limit_s:g} s with the best so far; --time-limit gives more")
    write_text(path, made.to_json(), overwrite=True)
    return participants_figures(path)


def participants_figures(path: Path) -> dict[str, Any]:
    """Return who was chosen, by which rule, and what other rules would have chosen."""
    from solver.participation.document import read_participants

    given = read_participants(path)
    return given.model_dump(
        mode="json", include={"rule", "chosen", "figures", "rules", "changes", "num_groups"}
    )


def _plan(wanted: Wanted, cluster: Path, participants: Path, path: Path, say: Say) -> dict[str, Any]:
    from solver.progress import planning
    from solver.repair.backups import protected, unsafe_stages
    from solver.solve import solve

    problem = wanted.asks(cluster, participants, path)
    limits: dict[str, Any] = {"time_limit_s": wanted.time_limit_s, "work_limit": wanted.work_limit}
    with planning(problem.objective) as progress:
        solution = solve(problem, wanted.solver, seed=wanted.seed, progress=progress, **limits)
    if solution.plan is None:
        raise NoAnswer(f"{solution.status.name}: {solution.status.value}. {solution.reason}")
    plan, workload, boards = solution.plan, problem.workload, problem.cluster
    found: dict[str, Any] = {"solution": solution.to_json()}
    write_text(path, plan.to_json(), overwrite=True)
    if wanted.training.elastic is not False and workload.net and not why_not_elastic(load(path)):
        plain_s = evaluate(plan, workload, boards).step_time_s
        plan = protected(plan, workload, boards)
        write_text(path, plan.to_json(), overwrite=True)
        found |= {"backups": len(plan.backup), "step_time_without_backups_s": plain_s}
        if plan.backup:
            step_s = evaluate(plan, workload, boards).step_time_s
            say(f"plan: copies that outlive a device make a step {step_s:.4g} s instead of {plain_s:.4g} s")
        for p, s in unsafe_stages(plan, workload, boards):
            names = ", ".join(share_devices(plan.pipelines[p].stages[s].shares))
            say(f"plan: no copy of stage {p}.{s} keeps every limit; training ends if {names} go")
    return found | plan_figures(path)


def plan_figures(path: Path) -> dict[str, Any]:
    """Return what a plan costs."""
    loaded = load(path)
    report = loaded.evaluate()
    words = ("step_time_s", "energy_j", "samples_per_s", "bubble", "traffic_bytes", "feasible", "violations")
    data = report.to_json()
    return {
        "devices": sorted(
            {name for p in loaded.plan.pipelines for s in p.stages for name in share_devices(s.shares)}
        ),
        **{word: data[word] for word in words},
        "peak_memory_bytes": report.peak_memory_bytes,
    }


def deployment_figures(folder: Path) -> dict[str, Any]:
    """Return what placing the weights costs, and what every device holds."""
    from solver.execution.state.deployment import Deployment

    return Deployment.open(folder).manifest.model_dump(mode="json", exclude={"files"})


def deployment_digest(folder: Path) -> str | None:
    """Return the digest of a whole deployment; ``None`` if it is missing or damaged."""
    from solver.execution.state.deployment import MANIFEST, Deployment

    if not (folder / MANIFEST).exists():
        return None
    try:
        whole = not list(Deployment.open(folder).faults())
    except InputError:
        whole = False
    return digest_of_file(folder / MANIFEST) if whole else None


def training_digest(folder: Path, steps: int) -> str | None:
    """Return the digest of a training that has done so many steps; ``None`` if it has not."""
    path = folder / FIGURES
    if not path.exists():
        return None
    found = read(path)
    losses = found.get("losses") if isinstance(found, dict) else None
    if not isinstance(losses, list):
        raise InputError(
            [Fault("losses", "a list is needed; remove the file to go on without it")], str(path)
        )
    return digest_of_file(path) if len(losses) >= steps else None
