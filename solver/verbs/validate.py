"""The verb ``validate``: predictions against measured runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.errors import InputError
from solver.verbs.common import NO, Force, Json, console, out_faults, print_json, say


def validate(
    suite: Annotated[str, typer.Option(help="Name of a suite of measured runs: sailor, vtrain or local.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of other runs in the suite's format; local: where runs are kept, and found again."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for findings.json and runs.csv.")] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit the constants on the suite's own runs, and write them here.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Predict measured runs, and say how far off; exit code 1 if a goal of the suite is missed."""
    from models.document import write_text
    from solver import api
    from solver.progress import validating

    faults = list(out_faults(out, force=force, folder=True)) if out is not None else []
    faults += list(out_faults(fit, force=force, folder=False)) if fit is not None else []
    if faults:
        raise InputError(faults, "validate")
    with validating() as progress:
        if fit is not None:
            write_text(fit, api.fit_suite(suite, progress), overwrite=force)
            say(f"constants written to {fit}")
            return
        findings = api.validate_suite(suite, data, progress)
    from solver.reporting.validation import print_findings, write_findings

    if out is not None:
        write_findings(out, findings, overwrite=force)
        say(f"findings.json and runs.csv written to {out}")
    if as_json:
        print_json(findings.to_json())
    else:
        print_findings(console(140), findings)
    if not findings.holds:
        raise typer.Exit(NO)
