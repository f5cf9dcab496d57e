"""The verb ``run``: train by a plan with real processes, from the start or from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import Fault, InputError
from solver.verbs.common import Force, Json, console, print_json, say
from solver.verbs.elastic import elastic_faults, run_elastically


def run(
    path: Annotated[Path, typer.Argument(metavar="PLAN")],
    steps: Annotated[int, typer.Option(help="Training steps, those of a checkpoint included.", min=1)] = 20,
    mode: Annotated[str, typer.Option(help="padded (emulated devices) or raw.")] = "padded",
    dilation: Annotated[
        float | None, typer.Option(help="Stretch of the emulated clock; chosen if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="0, or that of the checkpoint.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the optimizer.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for trace, report and checkpoints.")] = None,
    checkpoint_every: Annotated[
        int,
        typer.Option(help="Steps between two checkpoints; one is written after the last step too.", min=0),
    ] = 0,
    keep_checkpoints: Annotated[int, typer.Option(help="How many of them stay.", min=1)] = 3,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in the folder of --out.")
    ] = False,
    resume_from: Annotated[
        Path | None, typer.Option(help="Go on from this checkpoint, or the newest of this run.")
    ] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="Begin with the weights that partage deploy placed here.")
    ] = None,
    elastic: Annotated[
        bool, typer.Option("--elastic", help="Go on when devices die, and take them in when they return.")
    ] = False,
    policy: Annotated[
        str | None, typer.Option(help="Elastic: light (cut again locally), full (plan anew) or cheapest.")
    ] = None,
    respawn: Annotated[
        float | None, typer.Option(help="Elastic: seconds until a process that died is started again.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train by a plan with real processes; predicted beside measured, loss beside the undivided run."""
    from solver.phases.training import run_faults

    faults = list(run_faults(mode, dilation, learning_rate))
    faults += _faults(out, checkpoint_every, resume, resume_from, force=force)
    faults += elastic_faults(policy, respawn, elastic=elastic)
    if faults:
        raise InputError(faults, "run")
    from solver import api
    from solver.progress import training

    loaded = api.load(path)
    for violation in loaded.evaluate().violations:
        say(f"the plan breaks a limit and is run all the same: {violation.message}")
    words: dict[str, Any] = {
        "steps": steps,
        "mode": mode,
        "dilation": dilation,
        "seed": seed,
        "learning_rate": learning_rate,
        "checkpoint_every": checkpoint_every,
        "keep_checkpoint": checkpoint_every > 0,
        "keep_checkpoints": keep_checkpoints,
        "resume": out if resume else resume_from,
        "deployment": deployment,
    }
    if elastic:
        run_elastically(loaded, policy, respawn, out, force=force or resume, as_json=as_json, **words)
        return
    from solver.execution.run import run as execute

    with training(steps) as progress:
        result = execute(
            loaded.plan,
            loaded.workload,
            loaded.cluster,
            out=out,
            progress=progress,
            notice=say,
            overwrite=force or resume,
            **words,
        )
    if out is not None:
        from solver.reporting.folder import write_run

        write_run(out, loaded, result, overwrite=force or resume)
        say(f"trace and report written to {out}")
    if as_json:
        print_json(result.to_json())
        return
    from solver.reporting.show import print_run

    print_run(console(), loaded.plan, loaded.cluster, result)


def _faults(
    out: Path | None, every: int, resume: bool, resume_from: Path | None, *, force: bool
) -> Iterator[Fault]:
    if out is not None and out.exists() and not out.is_dir():
        yield Fault("--out", f"{out} is a file; give the name of a folder")
    elif out is not None and out.exists() and any(out.iterdir()) and not (force or resume):
        yield Fault("--out", f"{out} holds files; give another folder, --resume to go on in it, or --force")
    if every and out is None:
        yield Fault("--checkpoint-every", "there is no folder for checkpoints; give --out")
    if resume and out is None:
        yield Fault("--resume", "it goes on in the folder of --out; give that, or --resume-from")
    if resume and resume_from is not None:
        yield Fault(
            "--resume-from", "--resume goes on from the newest checkpoint of --out; give one of the two"
        )
