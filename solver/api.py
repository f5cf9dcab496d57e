"""The verbs of the command line, in Python, in the same words."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import Fault, InputError
from solver.errors import DeclinedError
from solver.loading import Loaded, load, relative_name
from solver.pareto import Front
from solver.pareto import pareto as search_front
from solver.plan import Plan
from solver.price import Limit, PriceList
from solver.price import price as price_limits
from solver.problem import Problem
from solver.report import Report
from solver.search.incumbent import Progress
from solver.solve import solve
from solver.status import Solution
from solver.words import problem_of

if TYPE_CHECKING:
    from solver.all_phases import Trained
    from solver.execution.run import RunResult
    from solver.formulations.micro_batch_order import OrderResult
    from solver.participation.contribution import Contribution
    from solver.participation.document import Participants
    from solver.phases.deploy import Deployed
    from solver.validation.findings import Findings

__all__ = [
    "Loaded",
    "bench",
    "best_order",
    "contribution",
    "deploy",
    "evaluate",
    "fit_suite",
    "load",
    "pareto",
    "participants",
    "plan",
    "price",
    "problem",
    "run",
    "schema",
    "train",
    "validate_suite",
]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan."""
    return Plan.model_json_schema()


def problem(
    workload: str | None,
    cluster: str | None,
    *,
    batch: int = 16,
    micro_batches: int | None = None,
    objective: str = "time",
    optimizer: str = "sgd",
    precision: str = "fp32",
    tune: str = "full",
    lora_rank: int | None = None,
    frozen: tuple[str, ...] = (),
    deadline_s: float | None = None,
    energy_budget_j: float | None = None,
    carbon_budget_g: float | None = None,
    untrusted_limit_bytes: int | None = None,
    steps: int | None = None,
    schedule: str = "1f1b",
    left_out: str = "idle",
    power_modes: str = "own",
    at_most: tuple[str, ...] = (),
    out: Path | None = None,
) -> Problem:
    """Return the problem of sharing a workload out over a cluster.

    Parameters
    ----------
    workload, cluster
        Catalogue names, or paths of files; ``None`` is a fault, told with the others.
    batch, micro_batches
        Samples of a step; micro-batches of a step (``None``: the solver chooses).
    objective
        A key of :data:`solver.problem.OBJECTIVES`, or weights of several, as ``time:1,energy:0.01``.
    optimizer, precision, tune, lora_rank, frozen
        See :class:`solver.job.Job`; with ``tune="lora"`` the rank defaults to 8.
    deadline_s, energy_budget_j, carbon_budget_g, untrusted_limit_bytes, steps
        Limits of the job, see there too.
    schedule
        ``1f1b`` or ``gpipe``.
    left_out
        What devices do that take no part: ``idle``, ``sleep`` or ``off``.
    power_modes
        ``own``: devices as they are; ``free``: the solver may choose one of their power modes.
    at_most
        Largest figures accepted, as ``energy=12``.
    out
        Where the plan will lie: paths in it are relative to that.

    Raises
    ------
    InputError
        With every fault of all parts together.
    """
    job = {
        "batch": batch,
        "optimizer": optimizer,
        "precision": precision,
        "tune": tune,
        "lora_rank": 8 if tune == "lora" and lora_rank is None else lora_rank,
        "frozen": frozen,
        "deadline_s": deadline_s,
        "energy_budget_j": energy_budget_j,
        "carbon_budget_g": carbon_budget_g,
        "untrusted_limit_bytes": untrusted_limit_bytes,
        "steps": steps,
    }
    rules = {
        "num_micro_batches": micro_batches,
        "schedule": schedule,
        "left_out": left_out,
        "power_modes": power_modes,
        "workload_ref": relative_name(workload, out) if workload is not None else "",
        "cluster_ref": relative_name(cluster, out) if cluster is not None else "",
    }
    return problem_of(workload, cluster, job, objective, at_most, rules)


def plan(
    what: Problem,
    solver: str = "best",
    *,
    time_limit_s: float = math.inf,
    seed: int = 0,
    start: Plan | None = None,
    work_limit: int | None = None,
    progress: Progress | None = None,
    mip: str = "cbc",
) -> Solution:
    """Find a plan. See :func:`solver.solve.solve`."""
    return solve(
        what,
        solver,
        time_limit_s=time_limit_s,
        seed=seed,
        start=start,
        work_limit=work_limit,
        progress=progress,
        mip=mip,
    )


def pareto(what: Problem, objectives: Sequence[str], solver: str = "best", **words: Any) -> Front:
    """Find non-dominated plans. See :func:`solver.pareto.pareto`."""
    return search_front(what, objectives, solver, **words)


def price(what: Problem, limits: Sequence[Limit], solver: str = "best", **words: Any) -> PriceList:
    """Return what limits cost. See :func:`solver.price.price`."""
    return price_limits(what, limits, solver, **words)


def participants(
    what: Problem,
    rule: str = "exact",
    *,
    compare: bool = False,
    solver: str | None = None,
    work_limit: int | None = None,
    time_limit_s: float = math.inf,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Participants | None:
    """Choose who takes part.

    Parameters
    ----------
    what
        What is decided.
    rule
        Whose choice counts; see :data:`solver.participation.rules.RULES`.
    compare
        Whether the document shows what every rule chooses.
    solver, work_limit, seed
        Who plans for a group; see :func:`solver.participation.planner.planner_for`.
    time_limit_s
        Seconds for everything together: what is known by then counts.
    progress
        Told what is being done.

    Returns
    -------
    Participants or None
        ``None`` where no plan of the rule's group keeps every limit, or none was found in time.

    Raises
    ------
    InputError
        If there is no such rule or solver.
    """
    from solver.participation.choice import choose, compare_all
    from solver.participation.coalitions import Coalitions
    from solver.participation.document import document_of
    from solver.participation.kinds import kinds_of, num_groups
    from solver.participation.planner import planner_for

    planner = planner_for(num_groups(kinds_of(what)), solver, work_limit, seed)
    coalitions = Coalitions(what, planner, time_limit_s=time_limit_s)
    return document_of(coalitions, choose(coalitions, rule, compare_all() if compare else (), progress))


def contribution(
    what: Problem,
    objectives: Sequence[str] = ("time", "energy"),
    *,
    solver: str | None = None,
    work_limit: int | None = None,
    seed: int = 0,
    **words: Any,
) -> Contribution:
    """Return what each device is worth. See :func:`solver.participation.contribution.contribution`."""
    from solver.participation.contribution import contribution as weigh
    from solver.participation.kinds import kinds_of, num_groups
    from solver.participation.planner import planner_for

    planner = planner_for(num_groups(kinds_of(what)), solver, work_limit, seed)
    return weigh(what, planner, objectives, **words)


def evaluate(path: Path | str) -> Report:
    """Return what the plan in a file costs."""
    return load(path).evaluate()


def best_order(report: Report, seconds: float = 30.0) -> OrderResult:
    """Return the best order of the passes and messages of a plan, beside the order of its schedule.

    Parameters
    ----------
    report
        What the plan costs.
    seconds
        Limit of wall time.

    Raises
    ------
    InputError
        If the constraint programme cannot express the plan, with the reason.
    """
    from solver.formulations.micro_batch_order import best_order as search

    try:
        return search(report.program, seconds)
    except DeclinedError as error:
        raise InputError([Fault("best order", str(error))], "evaluate") from None


def deploy(path: Path | str, out: Path | str, **words: Any) -> Deployed:
    """Place the weights of the plan in a file. See :func:`solver.phases.deploy.deploy`."""
    from solver.phases.deploy import deploy as write

    return write(load(path), Path(out), **words)


def train(
    workload: str | None = None,
    cluster: str | None = None,
    *,
    out: Path | str,
    say: Callable[[str], None] | None = None,
    **words: Any,
) -> Trained:
    """Go through all phases of collaborative training in one folder; the same call goes on in it.

    Parameters
    ----------
    workload, cluster
        Catalogue names, or paths of files. Without a cluster this machine is measured; a plan or
        participants of one's own say both.
    out
        Folder of all phases.
    say
        Told what is done, and why; nobody if not given.
    words
        Those of :class:`solver.all_phases.Course` (``plan``, ``until``, ``rule``, ``steps``, ...), those of
        :func:`problem` (``batch``, ``objective``, ``deadline_s``, ...; the steps that batteries must last for
        are ``training_steps`` here), and ``participants``: the file of a choice of one's own.

    Returns
    -------
    Trained
        What became of every phase. That no plan keeps every limit is an answer: ``refused`` says why.

    Raises
    ------
    InputError
        With every fault, before anything is done; or if the folder holds the parts of other words.

    Examples
    --------
    >>> found = api.train("vit_digits", "four_boards", out="run", batch=64, steps=20)  # doctest: +SKIP
    >>> found.figures["train"]["losses"][-1]  # doctest: +SKIP
    """
    from dataclasses import fields

    from solver.all_phases import Course, train_all
    from solver.asked import asked_of

    known = {one.name for one in fields(Course)}
    course = {word: words.pop(word) for word in list(words) if word in known}
    for word in ("plan", "solver"):
        if course.get(word) is not None:
            course[word] = Path(course[word]) if word == "plan" else str(course[word])
    if "training_steps" in words:
        words["steps"] = words.pop("training_steps")
    named = {"workload": workload, "cluster": cluster}
    asked = asked_of(words | {word: str(name) for word, name in named.items() if name is not None})
    return train_all(asked, Course(**course), Path(out), say or (lambda text: None))


def run(path: Path | str, **words: Any) -> RunResult:
    """Train by the plan in a file. See :func:`solver.execution.run.run`."""
    from solver.execution.run import run as execute

    loaded = load(path)
    return execute(loaded.plan, loaded.workload, loaded.cluster, **words)


def bench(
    suite: str,
    solvers: Sequence[str],
    *,
    time_limit_s: float,
    out: Path | str,
    seeds: int = 1,
    record: bool = False,
    bounds_of: Sequence[str] = (),
    jobs: int = 1,
    backend: str = "loky",
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    **words: Any,
) -> dict[str, Any]:
    """Run solvers on the cases of a suite, and return the summary; see ``results/README.md``.

    Parameters
    ----------
    suite, solvers
        Names in their catalogues, or paths of files.
    time_limit_s, seeds, words
        See :class:`solver.bench.asked.Asked`.
    out
        Folder for runs, solutions, summary, figures and page; a folder that holds some of the runs is
        gone on with.
    record, bounds_of
        Whether better scores go into the suite's best known ones, and the solvers whose bounds do too
        (those whose space holds every plan of the suite).
    jobs, backend, scheduler, retry_failed, progress
        See :func:`solver.bench.sweep.sweep`.

    Raises
    ------
    InputError
        With every fault, before anything runs.
    """
    from solver.bench.asked import Asked
    from solver.bench.record import record_best
    from solver.bench.sweep import sweep
    from solver.reporting.bench_folder import is_bench, write_bench

    folder = Path(out)
    asked = Asked(suite, tuple(solvers), time_limit_s, num_seeds=seeds, **words)
    try:
        lines = sweep(
            asked,
            folder,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            retry_failed=retry_failed,
            progress=progress,
        )
    except KeyboardInterrupt:
        if is_bench(folder):
            with contextlib.suppress(InputError):  # there is no run yet
                write_bench(folder)
        raise
    if record:
        record_best(asked.folder, lines, bounds_of)
    return write_bench(folder)


def validate_suite(
    suite: str, data: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Findings:
    """Predict the measured runs of a suite.

    Parameters
    ----------
    suite
        Name of a validation suite.
    data
        Folder of other runs in the suite's format; ``None`` for those of the package. Constants that ship
        with the package are not fitted anew.
    progress
        Told (done, all).

    Raises
    ------
    InputError
        If there is no such suite, or with every fault of the folder.
    """
    from solver.validation.catalog import load as load_suite

    found: Findings = load_suite(suite).validate(data, progress)
    return found


def fit_suite(suite: str, progress: Callable[[int, int], None] | None = None) -> str:
    """Fit the constants of a suite on its own data, and return the text of the file that ships with it.

    Parameters
    ----------
    suite
        Name of a validation suite that has fitted constants.
    progress
        Told (done, all).

    Raises
    ------
    InputError
        If there is no such suite, or if it fits nothing.
    """
    from solver.validation.catalog import load as load_suite

    module = load_suite(suite)
    if not hasattr(module, "fit"):
        raise InputError([Fault("--fit", f"suite {suite} has no fitted constants")], "validate")
    return str(module.fit(progress))
