"""The verb ``contribution``: what each device is worth."""

from __future__ import annotations

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
    judged,
    out_faults,
    print_json,
    say,
    solver_faults,
    suffix_faults,
)

if TYPE_CHECKING:
    from solver.participation.planner import Planner
    from solver.problem import Problem


@asks_problem
def contribution(
    asked: Asked,
    out: Annotated[Path, typer.Option(help="JSON file to write; the picture lies beside it, as .png.")],
    of: Annotated[
        str, typer.Option(help="Objectives, with commas; --objective is not used here.")
    ] = "time,energy",
    samples: Annotated[
        int | None,
        typer.Option(
            help="Draw so many orders of devices even where all groups could be planned for.", min=4
        ),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="Who plans for a group; best for few groups, else local_search.")
    ] = None,
    work_limit: Annotated[int | None, typer.Option(help="Units of work for a group.", min=1)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what each device is worth: its Shapley value of step time and of energy.

    Exact to 10 devices, sampled beyond, with standard errors. Broken off, the same command goes on.
    """
    from models.document import write_text
    from solver.participation.contribution import NUM_PAIRS, contribution, word_faults
    from solver.participation.kinds import kinds_of, num_groups
    from solver.participation.ledger import Ledger
    from solver.participation.planner import planner_for
    from solver.progress import weighing
    from solver.reporting.contribution import picture, print_contribution

    names = tuple(name.strip() for name in of.split(",") if name.strip())
    num_pairs = NUM_PAIRS if samples is None else samples // 2
    faults = [*out_faults(out, force=force, folder=False), *suffix_faults(out)]
    faults += [*word_faults(names, num_pairs), *solver_faults(solver)]
    problem = judged(faults, lambda: asked.problem(out), "contribution")
    planner = planner_for(num_groups(kinds_of(problem)), solver, work_limit, seed)
    ledger = Ledger(out.with_suffix(".partial.jsonl"), _question(problem, planner, samples))
    with weighing() as progress:
        made = contribution(
            problem,
            planner,
            names,
            num_pairs=num_pairs,
            sample=samples is not None,
            ledger=ledger,
            progress=progress,
        )
    write_text(out, made.to_json(), overwrite=force)
    picture(made, out.with_suffix(".png"))
    ledger.done()
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print_contribution(console(100), made)
        say(f"written to {out} and {out.with_suffix('.png')}")
    if all(one.cost is None for one in made.objectives.values()):
        say("no group has a plan that keeps every limit")
        raise typer.Exit(NO)


def _question(problem: Problem, planner: Planner, samples: int | None) -> dict[str, Any]:
    """Return what plans of groups depend on."""
    words = ("at_most", "num_micro_batches", "schedule", "in_flight", "left_out", "power_modes")
    said = {word: getattr(problem, word) for word in words}
    return {
        "workload": problem.workload.digest,
        "cluster": problem.cluster.digest,
        "participants": sorted(problem.usable),
        "job": problem.job.model_dump(mode="json"),
        **{word: dict(value) if word == "at_most" else value for word, value in said.items()},
        "planner": [planner.solver, planner.work_limit, planner.seed],
        "samples": samples,
    }
