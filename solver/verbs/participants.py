"""The verb ``participants``: who should take part."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from solver.asked import Asked
from solver.verbs.asked import asks_problem
from solver.verbs.common import (
    NO,
    Force,
    Json,
    console,
    judged,
    out_faults,
    print_json,
    rule_faults,
    say,
    seconds_faults,
    solver_faults,
    suffix_faults,
)


@asks_problem
def participants(
    asked: Asked,
    out: Annotated[Path, typer.Option(help="JSON file to write, read by --participants.")],
    rule: Annotated[
        str,
        typer.Option(
            help="all, single, fastest, most_memory, add, drop, swap, exact, asteroid, asteroid_subsets, "
            "dapple, or fastest_K, most_memory_K."
        ),
    ] = "exact",
    compare: Annotated[bool, typer.Option("--compare", help="Show what every rule chooses.")] = False,
    solver: Annotated[
        str | None,
        typer.Option(help="Who plans for a group; best for few groups, else local_search."),
    ] = None,
    work_limit: Annotated[int | None, typer.Option(help="Units of work for a group.", min=1)] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Seconds for everything together; the best so far is kept. None: to the end.", min=0
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose which devices take part: more are often slower, and waiting costs energy."""
    from models.document import write_text
    from solver import api
    from solver.progress import weighing

    faults = [*out_faults(out, force=force, folder=False), *suffix_faults(out), *rule_faults(rule)]
    faults += solver_faults(solver)
    if time_limit is not None:
        faults += seconds_faults(time_limit)
    problem = judged(faults, lambda: asked.problem(out), "participants")
    with weighing() as progress:
        made = api.participants(
            problem,
            rule,
            compare=compare,
            solver=solver,
            work_limit=work_limit,
            time_limit_s=math.inf if time_limit is None else time_limit,
            seed=seed,
            progress=progress,
        )
    if made is not None:
        write_text(out, made.to_json(), overwrite=force)
    if as_json:
        print_json(made.model_dump(mode="json") if made is not None else {"rule": rule, "chosen": []})
    elif made is not None:
        from solver.reporting.participants import print_participants

        print_participants(console(100), made)
        if made.stopped_after_s is not None:
            say(
                f"stopped after {made.stopped_after_s:g} s, rule {rule} was not done: the best so far is kept"
            )
        say(f"written to {out}; partage plan --participants {out} plans with them")
    if made is None:
        timely = "" if time_limit is None else f", or none was found within {time_limit:g} s"
        say(f"rule {rule}: no plan of such a group keeps every limit{timely}")
        raise typer.Exit(NO)
