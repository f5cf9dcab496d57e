"""Sweep: many runs, some at the same time, through joblib, whose dask back end reaches a cluster.

Only this process writes; the others run and answer. On another machine a run needs the files of the
instances and the solvers under the same paths.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import Fault, InputError
from solver.bench.asked import Asked, check_solvers, chosen_cases, tasks
from solver.bench.ledger import Ledger, Line, key_of, last_lines
from solver.bench.run import FAILED, Done, run
from solver.bench.task import Task
from solver.errors import RunError

BACKENDS = ("loky", "dask", "sequential")

Progress = Callable[[str, int, int], None]
"""Called with (what was done last, how many are done, how many there are)."""


def sweep(
    asked: Asked,
    out: Path,
    *,
    jobs: int = 1,
    backend: str = "loky",
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> list[Line]:
    """Do every run that is asked for and that the folder does not hold yet.

    Parameters
    ----------
    asked
        What to run.
    out
        Folder of the results; see :mod:`solver.bench.ledger`.
    jobs
        Runs at the same time.
    backend
        One of ``BACKENDS``.
    scheduler
        Address of a dask scheduler; without it ``dask`` starts a cluster of ``jobs`` processes here.
    retry_failed
        Whether runs that failed are done again.
    progress
        Called after every run.

    Returns
    -------
    list of dict
        The last line of every run of the folder.

    Raises
    ------
    InputError
        With every fault of what is asked, before anything runs.
    RunError
        If results cannot be written, or a process of the sweep died.
    """
    _check(jobs, backend, scheduler)
    check_solvers(asked)
    told = progress or (lambda text, done, total: None)
    todo = tasks(asked, chosen_cases(asked, lambda done, total: told("reading instances", done, total)), jobs)
    with Ledger(out, asked.common) as ledger:
        if ledger.torn_bytes:
            told("a line that a crash tore off was removed; its run is done again", 0, len(todo))
        left = _left(ledger, todo, retry_failed)
        done = len(todo) - len(left)
        stems = {task.key: task.file for task in todo}
        with _answers(left, jobs, backend, scheduler) as answers:
            for answer in answers:
                line = ledger.add(answer, stems[key_of(answer.line)])
                done += 1
                told(f"{line['case']} {line['solver']} {line['seed']}: {line['status']}", done, len(todo))
        return last_lines(ledger.lines)


def _check(jobs: int, backend: str, scheduler: str | None) -> None:
    faults = []
    if jobs < 1:
        faults.append(Fault("--jobs", f"{jobs} jobs: at least 1 is needed"))
    if backend not in BACKENDS:
        faults.append(Fault("--backend", f"no back end {backend!r}; there are: {', '.join(BACKENDS)}"))
    if backend == "sequential" and jobs > 1:
        faults.append(Fault("--jobs", f"back end sequential does one run at a time, not {jobs}"))
    if scheduler is not None and backend != "dask":
        faults.append(Fault("--scheduler", f"back end {backend} has none; give --backend dask"))
    if faults:
        raise InputError(faults, "bench")


def _left(ledger: Ledger, todo: Sequence[Task], retry_failed: bool) -> list[Task]:
    """Return the tasks without a line; raise if what has one meant something else."""
    lines = {key_of(line): line for line in last_lines(ledger.lines)}
    faults = []
    left = []
    for task in todo:
        line = lines.get(task.key)
        if line is None or (retry_failed and line["status"] == FAILED):
            left.append(task)
        elif line.get("problem_sha256") != task.sha256:
            faults.append(f"the instance of {task.case.name} has changed since its run")
        elif line.get("solver_sha256") != task.solver_sha256:
            faults.append(f"the file of solver {task.solver_name} has changed since its runs")
    if faults:
        advice = "give another folder"
        raise InputError([Fault("--out", f"{text}: {advice}") for text in dict.fromkeys(faults)], "bench")
    return left


@contextmanager
def _answers(
    left: Sequence[Task], jobs: int, backend: str, scheduler: str | None
) -> Iterator[Iterator[Done]]:
    """Give answers as they come; whatever ends the block ends what still runs."""
    if backend == "sequential" or not left:
        yield (run(task) for task in left)
        return
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    here = (socket.gethostname(), os.getpid())
    with _cluster(jobs, backend, scheduler), parallel_config(backend=backend, n_jobs=jobs):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
        answers = parallel(delayed(_run_there)(task, here) for task in left)
        try:
            yield _flat(answers)
        except TerminatedWorkerError as error:
            message = f"a process of the sweep died ({error}); the same command goes on from there"
            raise RunError(message) from None
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib's, that runs were cancelled: they were
                answers.close()


def _flat(answers: Any) -> Iterator[Done]:
    yield from answers


def _run_there(task: Task, here: tuple[str, int]) -> Done:
    """Run in a process of the sweep; it ends with the sweep if that is on the same machine and its parent."""
    host, sweeper = here
    owner = sweeper if host == socket.gethostname() and os.getppid() == sweeper else None
    return run(task, owner)


@contextmanager
def _cluster(jobs: int, backend: str, scheduler: str | None) -> Iterator[None]:
    """Connect to a dask cluster, or start one on this machine."""
    if backend != "dask":
        yield
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        message = "dask is not installed: pip install 'partage[dask]'"
        raise InputError([Fault("--backend", message)], "bench") from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            message = f"no dask scheduler answers at {scheduler}: {error}"
            raise InputError([Fault("--scheduler", message)], "bench") from None
        with client:
            yield
        return
    with (
        LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        yield
