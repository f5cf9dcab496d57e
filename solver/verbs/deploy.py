"""The verb ``deploy``: place the weights of a plan, ready to be carried to the devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import InputError
from solver.verbs.common import Force, Json, console, out_faults, print_json, say

if TYPE_CHECKING:
    from solver.phases.deploy import Deployed


def deploy(
    path: Annotated[Path, typer.Argument(metavar="PLAN")],
    out: Annotated[Path, typer.Option(help="Folder to write; there whole or not at all.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Device on which the model lies; the first of the plan.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write what every device must hold before the first step, and say what placing it costs."""
    faults = list(out_faults(out, force=force, folder=True))
    if faults:
        raise InputError(faults, "deploy")
    from solver import api

    found = api.deploy(path, out, seed=seed, source=source, overwrite=force)
    if as_json:
        print_json(found.to_json())
        return
    show(found)
    say(f"deployment written to {out}; partage run {path} --deployment {out} begins with it")


def show(found: Deployed) -> None:
    """Print what every device holds and when it has it.

    Parameters
    ----------
    found
        The deployment.
    """
    from solver.reporting.show import print_deployment

    print_deployment(console(), found.manifest)
