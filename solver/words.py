"""Words: a problem from the words of a person, with every fault of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from models import catalog
from models.document import validate
from models.errors import Fault, InputError
from models.workload import Workload
from solver.job import Job
from solver.problem import Problem, block_faults, choice_faults, count_faults, objective_faults


def problem_of(
    workload: str | None,
    cluster: str | None,
    job: Mapping[str, Any],
    objective: str,
    at_most: Iterable[str],
    rules: Mapping[str, Any],
) -> Problem:
    """Return the problem that words say.

    Parameters
    ----------
    workload, cluster
        Catalogue names or paths; ``None``: missing, which is a fault.
    job
        Words of :class:`solver.job.Job`.
    objective, at_most
        What is minimised, as ``energy`` or ``time:1,energy:0.01``, and limits, as ``energy=12``.
    rules
        The other words of :class:`solver.problem.Problem`.

    Raises
    ------
    InputError
        With every fault that can be found: a word that is wrong does not hide what is wrong with others.
    """
    faults: list[Fault] = []
    parts: dict[str, Any] = {}
    readers: dict[str, Callable[[], Any]] = {
        "workload": lambda: catalog.workload(_given(workload)),
        "cluster": lambda: catalog.cluster(_given(cluster)),
        "job": lambda: validate(Job, dict(job), "job"),
    }
    for word, make in readers.items():
        try:
            parts[word] = make()
        except InputError as error:
            found = error.faults if word != "job" else (*error.faults, *_hidden(job, error.faults))
            faults += [Fault(f"{word}.{f.path}" if f.path else word, f.message) for f in found]
    is_sum = ":" in objective
    weights = _numbers("objective", objective.split(","), ":", faults) if is_sum else {}
    limits = _numbers("at_most", at_most, "=", faults)
    # Weights of which none can be read are told above, and say nothing more.
    name = "weighted" if weights else "time" if is_sum else objective
    words = {**rules, "objective": name, "weights": weights, "at_most": limits}
    if len(parts) == len(readers):
        try:
            made = Problem(**parts, **words)
        except InputError as error:
            faults += error.faults
    else:
        faults += _without_parts(words, job, parts.get("workload"))
    if faults:
        raise InputError(faults, "problem")
    return made


def _given(name: str | None) -> str:
    if name is None:
        raise InputError([Fault("", "is missing: give a catalogue name or a path")])
    return name


def _hidden(job: Mapping[str, Any], faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return what is wrong with words of a job together, once those that are wrong alone are left out."""
    wrong = {fault.path.split(".")[0] for fault in faults if fault.path}
    if not wrong:
        return ()
    try:
        validate(Job, {"batch": 1, **{word: job[word] for word in job if word not in wrong}}, "job")
    except InputError as error:
        return error.faults
    return ()


def _without_parts(
    words: Mapping[str, Any], job: Mapping[str, Any], workload: Workload | None
) -> Iterator[Fault]:
    """Yield what is wrong with words where the workload, the cluster or the job cannot be had."""
    yield from objective_faults(words["objective"], words["weights"], words["at_most"])
    yield from choice_faults(words["schedule"], "default", words["left_out"], words["power_modes"])
    if job["batch"] >= 1:
        yield from count_faults(words["num_micro_batches"], job["batch"])
    if workload is not None:
        yield from block_faults("frozen", job["frozen"], workload)


def _numbers(word: str, texts: Iterable[str], mark: str, faults: list[Fault]) -> dict[str, float]:
    """Read numbers with names, as ``energy=12``."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition(mark)
        try:
            found[name.strip()] = float(number)
        except ValueError:
            faults.append(Fault(word, f"{text!r} is not a name and a number, as energy{mark}12"))
    return found
