"""Show: what the verbs of the command line print for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from models.cluster import Cluster
from solver.plan import Plan
from solver.problem import OBJECTIVES
from solver.report import Report
from solver.reporting import tables, units
from solver.reporting.from_trace import measured_of
from solver.status import Solution

if TYPE_CHECKING:
    from solver.execution.run import RunResult
    from solver.execution.state.deployment import Manifest
    from solver.formulations.micro_batch_order import OrderResult


def print_solution(console: Console, solution: Solution, objective: str) -> None:
    """Print the answer of a solver: how it ended, score, bound and gap with their space, and the plan.

    Parameters
    ----------
    console
        Where to.
    solution
        The answer.
    objective
        What was minimised.
    """
    console.print(f"[bold]{solution.status.name}[/bold]: {solution.status.value}")
    name, unit = OBJECTIVES[objective]
    if solution.score is not None:
        console.print(f"{name}: {solution.score:.6g} {unit}, by {solution.solver} in {solution.wall_s:.2f} s")
    if solution.bound is not None:
        console.print(f"bound: {solution.bound:.6g} {unit}, gap {solution.gap or 0.0:.2%}, among plans with")
        console.print(f"  {solution.space}", markup=False)
    if solution.reason:
        console.print(solution.reason, markup=False)
    if solution.plan is not None:
        console.print(tables.plan_table(solution.plan))


def print_report(console: Console, plan: Plan, cluster: Cluster, report: Report) -> None:
    """Print what a plan costs.

    Parameters
    ----------
    console
        Where to.
    plan, cluster, report
        The plan, its cluster, its costs.
    """
    console.print(tables.plan_table(plan))
    console.print(tables.headline_table(report))
    console.print(tables.device_table(plan, cluster, report))
    if report.violations:
        console.print(tables.violation_table(report))


def print_order(console: Console, order: OrderResult) -> None:
    """Print how good the order of a plan's schedule is."""
    end = "proven best" if order.proven else f"no order takes less than {order.bound_s:.6g} s"
    if order.saving > 0:
        words = f"a better order of passes and messages takes {order.best_s:.6g} s, {order.saving:.1%} less"
    else:
        words = "no better order of passes and messages was found"
    console.print(f"order of the schedule: {order.rule_s:.6g} s; {words} ({end})")


def print_deployment(console: Console, manifest: Manifest) -> None:
    """Print what every device holds, when it has it, and what bringing it there costs.

    Parameters
    ----------
    console
        Where to.
    manifest
        What a deployment says of itself.
    """
    console.print(tables.placing_table(manifest))
    moved, seconds = units.size(manifest.moved_bytes), units.seconds(manifest.seconds)
    console.print(f"from {manifest.source}: {moved} over links, predicted {seconds}")
    if manifest.net is None:
        console.print(f"no weights: {manifest.workload} names no net that can be trained here", markup=False)


def print_comparison(console: Console, reports: Mapping[str, Report]) -> None:
    """Print several plans side by side."""
    console.print(tables.comparison_table(reports))


def print_run(console: Console, plan: Plan, cluster: Cluster, result: RunResult) -> None:
    """Print predicted beside measured, per device and in total, and the loss beside the undivided run.

    Parameters
    ----------
    console
        Where to.
    plan, cluster
        What was run.
    result
        What was predicted and measured.
    """
    weights = result.max_relative_weight_difference
    measured = measured_of(
        result.trace,
        result.report.program,
        max_relative_weight_difference=weights,
        energy=result.energy,
    )
    console.print(tables.headline_table(result.report, measured))
    console.print(tables.device_table(plan, cluster, result.report, measured))
    trace = result.trace
    if trace.losses:
        console.print(f"loss: {trace.losses[0]:.6f} at the first step, {trace.losses[-1]:.6f} at the last")
    if trace.reference_losses:
        difference = result.max_relative_loss_difference
        shown = "" if weights is None else f", weights {weights:.1e}"
        console.print(
            f"undivided run: {trace.reference_losses[-1]:.6f}; losses differ by {difference:.1e}{shown}"
        )
    console.print(f"mode {trace.mode}, dilation {trace.dilation:g}, {result.num_overruns} overruns")
