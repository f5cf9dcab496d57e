"""The verb ``train``: all phases of collaborative training in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solver.asked import Asked
from solver.verbs.asked import asks_problem
from solver.verbs.common import (
    NO,
    Force,
    Json,
    console,
    print_json,
    quiet_stdout,
    say,
)

if TYPE_CHECKING:
    from solver.phases.chain import Done


@asks_problem
def train(
    asked: Asked,
    out: Annotated[Path, typer.Option(help="Folder of all phases; the same command goes on in it.")],
    plan: Annotated[Path | None, typer.Option(help="Your own plan, in the place of the one made.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Last phase: profile, participants, plan, deploy or train.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="The one phase to do, from the parts before it.")] = None,
    processes: Annotated[
        int, typer.Option(help="Without --cluster: devices that this machine is to be.", min=1)
    ] = 2,
    rule: Annotated[
        str, typer.Option(help="Who chooses the participants; see partage participants.")
    ] = "exact",
    solver: Annotated[str, typer.Option(help="Name of a solver, or path of a Python file.")] = "best",
    time_limit: Annotated[
        float, typer.Option(help="Seconds for the participants, and for the plan.", min=0)
    ] = 30.0,
    work_limit: Annotated[int | None, typer.Option(help="Units of work for the plan.", min=1)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    source: Annotated[
        str | None, typer.Option("--from", help="Device on which the model lies; the first of the plan.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 100,
    mode: Annotated[
        str | None, typer.Option(help="padded (emulated devices) or raw; raw where this machine is profiled.")
    ] = None,
    dilation: Annotated[
        float | None, typer.Option(help="Stretch of the emulated clock; chosen if not given.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the optimizer.")] = None,
    elastic: Annotated[
        bool | None,
        typer.Option("--elastic/--no-elastic", help="Go on when devices die; where the plan allows it."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Repair: light (cut again locally), full (plan anew) or cheapest.")
    ] = None,
    respawn: Annotated[
        float | None, typer.Option(help="Seconds until a process that died is started again.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between two checkpoints.", min=0)] = 20,
    reference: Annotated[
        bool, typer.Option("--reference/--no-reference", help="Compare with the undivided run.")
    ] = True,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Read or profile, choose who takes part, plan, place, train, report; each part can be replaced."""
    from solver.all_phases import Course, train_all

    course = Course(
        plan,
        until,
        only,
        processes,
        rule,
        solver,
        time_limit,
        work_limit,
        seed,
        source,
        steps,
        mode,
        dilation,
        learning_rate,
        elastic,
        policy,
        respawn,
        checkpoint_every,
        reference,
        force,
    )
    with quiet_stdout():
        found = train_all(asked, course, out, say)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found.phases)
    if found.refused:
        say(found.refused)
        raise typer.Exit(NO)
    if found.report is not None:
        say(f"report written to {found.report}")


def _show(done: Sequence[Done]) -> None:
    from rich import box
    from rich.table import Table

    from solver.reporting import units

    shown = Table(title="Phases", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("phase", "part", "", "time", "what came of it"):
        shown.add_column(name)
    for one in done:
        words = _SAID[one.name](one.figures) if one.figures else ""
        shown.add_row(one.name, one.part.name, one.state, units.seconds(one.wall_s), words)
    console(110).print(shown)


def _said_of_plan(figures: dict[str, Any]) -> str:
    from solver.reporting import units

    step, energy = units.seconds(figures["step_time_s"]), units.energy(figures["energy_j"])
    broken = "" if figures["feasible"] else f"; {len(figures['violations'])} limits broken"
    return f"{len(figures['devices'])} devices, {step} and {energy} a step{broken}"


def _said_of_placing(figures: dict[str, Any]) -> str:
    from solver.reporting import units

    return (
        f"{units.size(figures['moved_bytes'])} from {figures['source']}, {units.seconds(figures['seconds'])}"
    )


def _said_of_training(figures: dict[str, Any]) -> str:
    losses, faults = figures["losses"], len(figures["faults"])
    ends = f"loss {losses[0]:.4f} -> {losses[-1]:.4f}" if losses and None not in losses else "no finite loss"
    changes = f", {faults} changes of devices" if faults else ""
    return f"{len(losses)} steps, {ends}{changes}"


_SAID = {
    "profile": lambda figures: f"{figures['cluster']}: {len(figures['devices'])} devices",
    "participants": lambda figures: f"{', '.join(figures['chosen'])} (rule {figures['rule']})",
    "plan": _said_of_plan,
    "deploy": _said_of_placing,
    "train": _said_of_training,
}
"""What is said of a phase, from its figures."""
