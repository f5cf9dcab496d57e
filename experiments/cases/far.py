"""Homes with a cloud behind a slow link, and plans of those who train there: far, near, each for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from experiments.cases.regimes import AIR_LATENCY_S, MBIT, SWITCH_LATENCY_S
from models import catalog
from models.cluster import Cluster, Device
from models.errors import InputError
from solver.evaluate import judge
from solver.plan import Pipeline, Plan, Stage, Sync, pipeline_plan, plan_of
from solver.problem import Problem
from solver.report import Report
from solver.search.shares import by_speed

CLOUD = "cloud"
WAN_LATENCY_S = 0.02
"""One way to a data centre: an estimate."""
RAW = ("camera", "text")
"""Names of the data that every board at home has; the cloud has none."""
Judged = tuple[Plan, Report]


def far_cluster(name: str, boards: Sequence[Device], home: dict[str, Any], wan_mbit: int) -> Cluster:
    """Return boards on a network at home, and a cloud GPU of lower trust behind a slow link.

    Parameters
    ----------
    name, boards
        Its name; the boards at home, which own the data.
    home
        Words of the segment at home but its members.
    wan_mbit
        Rate up and down, Mbit/s, one transfer at a time.
    """
    cloud = catalog.device("nvidia_a100").model_copy(update={"name": CLOUD, "trust": -1, "data": ()})
    owners = [board.model_copy(update={"data": RAW}) for board in boards]
    wan = {"bandwidth_bytes_per_s": wan_mbit * MBIT, "latency_s": WAN_LATENCY_S}
    segments = [
        {"name": "home", "members": [board.name for board in boards], **home},
        {"name": "wan", "kind": "shared", "members": ["home", CLOUD], **wan},
    ]
    source = "boards and GPU of the catalogue; network by experiments"
    words = {"name": f"{name}_wan_{wan_mbit}", "source": source, "segments": segments}
    return Cluster.model_validate({**words, "devices": [*owners, cloud]})


def near_cluster(name: str, boards: Sequence[Device], home: dict[str, Any]) -> Cluster:
    """Return the same boards without the cloud; nobody owns data, so that everybody at home has them.

    Parameters
    ----------
    name, boards, home
        As for :func:`far_cluster`.
    """
    own = [board.model_copy(update={"data": ()}) for board in boards]
    segments = [{"name": "home", "members": [board.name for board in own], **home}]
    source = "boards of the catalogue; network by experiments"
    return Cluster.model_validate({"name": name, "source": source, "devices": own, "segments": segments})


def switch() -> dict[str, Any]:
    """Return a gigabit switch at home."""
    return {"kind": "switch", "bandwidth_bytes_per_s": 1000 * MBIT, "latency_s": SWITCH_LATENCY_S}


def access_point() -> dict[str, Any]:
    """Return an access point at home that leaves 300 Mbit/s, one transfer at a time."""
    return {"kind": "shared", "bandwidth_bytes_per_s": 300 * MBIT, "latency_s": AIR_LATENCY_S}


def moved(problem: Problem, plan: Plan) -> Plan:
    """Return a plan that was made for the boards alone as one of the cluster with the cloud.

    Parameters
    ----------
    problem, plan
        Over the cluster with the cloud; of devices at home.
    """
    return plan.model_copy(update={"cluster": plan_of(problem, plan.pipelines).cluster})


def in_cloud(problem: Problem) -> Iterator[Plan]:
    """Yield the whole model in the cloud, to which raw samples are sent, by number of micro-batches."""
    for count in problem.micro_batch_counts:
        stage = Stage(blocks=problem.workload.order, shares={CLOUD: problem.job.batch // count})
        yield pipeline_plan(problem, [stage], count)


def split_with_cloud(problem: Problem, boards: Iterable[str]) -> Iterator[Plan]:
    """Yield the first blocks on one board and the others in the cloud: activations are sent, no raw data."""
    order = problem.workload.order
    for board in boards:
        for count in problem.micro_batch_counts:
            samples = problem.job.batch // count
            for cut in range(1, len(order)):
                ends = ({board: samples}, {CLOUD: samples})
                parts = zip((order[:cut], order[cut:]), ends, strict=True)
                yield pipeline_plan(problem, [Stage(blocks=b, shares=dict(s)) for b, s in parts], count)


def federated(problem: Problem, home: Problem, every: int, server: str) -> Iterator[Plan]:
    """Yield the whole model on every board that gets a sample, averaged after so many local steps.

    Parameters
    ----------
    problem, home
        With the cloud, and without.
    every, server
        Local steps of a round, and who averages.
    """
    sync = Sync(every=every, topology="star", server=server)
    for count in problem.micro_batch_counts:
        samples = problem.job.batch // count
        shares = by_speed(home, samples, samples)
        if len(shares) > 1:
            stage = Stage(blocks=problem.workload.order, shares=dict(shares))
            yield pipeline_plan(problem, [stage], count).model_copy(update={"sync": sync})


def split_federated(problem: Problem, home: Problem, every: int, cuts: Iterable[int]) -> Iterator[Plan]:
    """Yield a pipeline for each board, its first blocks there, the others in the cloud, averaged in rounds.

    Parameters
    ----------
    problem, home
        With the cloud, and without.
    every, cuts
        Local steps of a round; blocks on the boards that are tried.
    """
    order, sync = problem.workload.order, Sync(every=every, topology="star", server=CLOUD)
    shares = by_speed(home, problem.job.batch, problem.job.batch)
    for cut in cuts:
        pipelines = []
        for board, samples in shares.items():
            ends = ({board: samples}, {CLOUD: samples})
            stages = [
                Stage(blocks=blocks, shares=dict(share))
                for blocks, share in zip((order[:cut], order[cut:]), ends, strict=True)
            ]
            pipelines.append(Pipeline(micro_batches=1, samples=samples, stages=tuple(stages)))
        yield plan_of(problem, pipelines).model_copy(update={"sync": sync})


def fastest(problem: Problem, plans: Iterable[Plan]) -> tuple[Judged | None, str]:
    """Return the plan with the shortest step that keeps every limit, or why there is none.

    Parameters
    ----------
    problem, plans
        What judges, and what is judged.
    """
    best: Judged | None = None
    reason, least = "no plan", float("inf")
    for plan in plans:
        try:
            report, _ = judge(replace(problem, objective="time"), plan)
        except InputError as error:
            reason = str(error).split("\n")[0] if least == float("inf") else reason
            continue
        over = sum(one.given - one.allowed for one in report.violations)
        if report.violations and over < least:
            reason, least = report.violations[0].message, over
        if report.is_feasible and (best is None or report.step_time_s < best[1].step_time_s):
            best = plan, report
    return best, "" if best is not None else reason
