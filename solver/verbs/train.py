"""The verb ``train``: all phases of collaborative training in one folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import Fault, InputError
from solver.verbs.asked import Asked, asks_problem
from solver.verbs.common import (
    NO,
    Force,
    Json,
    console,
    print_json,
    quiet_stdout,
    rule_faults,
    say,
    seconds_faults,
)

if TYPE_CHECKING:
    from solver.phases.chain import Done
    from solver.phases.folder import Wanted
    from solver.problem import Problem


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
    time_limit: Annotated[float, typer.Option(help="Seconds for the plan.", min=0)] = 30.0,
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
    from models import catalog
    from solver.lock import FolderLock
    from solver.phases.folder import check_trainable
    from solver.phases.training import Training

    asked = _completed(asked, plan)
    chosen = mode or ("raw" if asked.words["cluster"] is None else "padded")
    faults = [
        *_faults(out, until, only, policy, respawn),
        *_run_faults(chosen, dilation, learning_rate),
        *seconds_faults(time_limit),
        *rule_faults(rule),
        *(asked.faults() if plan is None else ()),  # a plan of one's own has its problem in it
    ]
    if faults:
        raise InputError(faults, "train")
    training = Training(
        steps,
        "raw" if chosen == "raw" else "padded",
        dilation,
        learning_rate,
        elastic,
        policy,
        respawn,
        checkpoint_every,
        reference,
    )
    wanted = _wanted(asked, processes, training)
    wanted = replace(
        wanted,
        rule=rule,
        solver=solver,
        time_limit_s=time_limit,
        work_limit=work_limit,
        seed=seed,
        source=source,
    )
    workload = catalog.workload(wanted.workload)
    if (only or until or "train") == "train":
        check_trainable(workload)
    with FolderLock(out, "training"), quiet_stdout():
        done, refused = _walk(wanted, asked, out, plan, only, until, force=force)
    _tell(out, done, refused, as_json=as_json)


def _completed(asked: Asked, plan: Path | None) -> Asked:
    """Return what was asked; a person's own plan, or participants, say what is not said."""
    from solver.verbs.asked import from_here

    words = dict(asked.words)
    if plan is not None:
        from solver.loading import load

        named = load(plan).plan
        references, base = {"workload": named.workload, "cluster": named.cluster}, plan.parent
    elif words["participants"] is not None:
        from solver.participation.document import read_participants

        given = read_participants(words["participants"])
        references, base = (
            {"workload": given.workload, "cluster": given.cluster},
            words["participants"].parent,
        )
    else:
        references, base = {}, Path()
    for word, reference in references.items():
        words[word] = words[word] or from_here(reference.name, base)
    return replace(asked, words=words)


def _faults(
    out: Path, until: str | None, only: str | None, policy: str | None, respawn: float | None
) -> Iterator[Fault]:
    from solver.phases.folder import NAMES
    from solver.repair.policy import POLICIES

    if out.exists() and not out.is_dir():
        yield Fault("--out", f"{out} is a file; give the name of a folder")
    for word, value in (("--until", until), ("--only", only)):
        if value is not None and value not in NAMES:
            yield Fault(word, f"no phase {value!r}; there are: {', '.join(NAMES)}")
    if until is not None and only is not None:
        yield Fault("--only", "it is one phase, --until all up to one; give one of the two")
    if policy is not None and policy not in POLICIES:
        yield Fault("--policy", f"no policy {policy!r}; there are: {', '.join(POLICIES)}")
    if respawn is not None and not respawn >= 0:
        yield Fault("--respawn", f"{respawn} is no number of seconds")


def _run_faults(mode: str, dilation: float | None, learning_rate: float | None) -> Iterator[Fault]:
    if mode not in ("padded", "raw"):
        yield Fault("--mode", f"no mode {mode!r}; there are: padded, raw")
    for word, value in (("--dilation", dilation), ("--learning-rate", learning_rate)):
        if value is not None and not (math.isfinite(value) and value > 0):
            yield Fault(word, f"a number above zero is needed (given: {value})")
    if dilation is not None and mode == "raw":
        yield Fault("--dilation", "a raw run has none; leave it out or take --mode padded")


def _wanted(asked: Asked, processes: int, training: Any) -> Wanted:
    from solver.phases.folder import Wanted

    def asks(cluster: Path, participants: Path | None, out: Path) -> Problem:
        words = {**asked.words, "cluster": str(cluster.resolve()), "participants": participants}
        return replace(asked, words=words).problem(out)

    plain = {
        word: list(value) if isinstance(value, list | tuple) else value
        for word, value in asked.words.items()
        if word not in ("cluster", "participants")
    }
    return Wanted(asked.words["workload"], asked.words["cluster"], processes, asks, plain, training=training)


def _walk(
    wanted: Wanted,
    asked: Asked,
    out: Path,
    plan: Path | None,
    only: str | None,
    until: str | None,
    *,
    force: bool,
) -> tuple[list[Done], str]:
    """Do the phases; return what became of them, and why there is no answer if there is none."""
    from models.document import write_text
    from solver.phases.chain import Chain, NoAnswer
    from solver.phases.folder import PARTICIPANTS, PLAN, phases_of, take_in
    from solver.phases.page import PAGE, page

    origins = take_in(plan, asked.words["participants"], out)
    phases = phases_of(wanted, out, say)
    if plan is not None and not (out / PARTICIPANTS).exists():
        phases = [phase for phase in phases if phase.name != "participants"]
        say(f"participants: those of {plan} take part")
    chain = Chain(out, phases, say, force=force, origins=origins)
    refused = ""
    try:
        chain.run(only, until)
    except NoAnswer as error:
        refused = str(error)
    if chain.done and (out / PLAN).exists() and not refused:
        write_text(out / PAGE, page(out, chain.done), overwrite=True)
    return chain.done, refused


def _tell(out: Path, done: list[Done], refused: str, *, as_json: bool) -> None:
    from solver.phases.page import PAGE

    page = out / PAGE
    if as_json:
        phases: Mapping[str, Any] = {one.name: one.to_json() for one in done}
        print_json(
            {
                "folder": str(out),
                "phases": phases,
                "wall_s": sum(one.wall_s for one in done),
                "refused": refused or None,
                "report": str(page) if page.exists() and not refused else None,
            }
        )
    else:
        _show(done)
    if refused:
        say(refused)
        raise typer.Exit(NO)
    if page.exists():
        say(f"report written to {page}")


def _show(done: list[Done]) -> None:
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
