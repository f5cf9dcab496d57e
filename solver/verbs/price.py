"""The verb ``price``: what a limit costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import Fault
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
    seconds_faults,
    solver_faults,
)

if TYPE_CHECKING:
    from solver.price import Limit, PriceList


@asks_problem
def price(
    asked: Asked,
    limit: Annotated[
        list[str],
        typer.Option(help="Limit and its values, as untrusted=0,1e6 or energy=90%,80% of the free plan's."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the plans and price.json.")] = None,
    solver: Annotated[str, typer.Option(help="Name of a solver, or path of a Python file.")] = "best",
    time_limit: Annotated[float, typer.Option(help="Seconds, for everything together.", min=0)] = 60.0,
    work_limit: Annotated[int | None, typer.Option(help="Units of work, for all together.", min=1)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    mip: Annotated[str, typer.Option(help="Mixed-integer solver: cbc, highs, scip, gurobi, copt.")] = "cbc",
    start: Annotated[Path | None, typer.Option(help="A plan to begin from.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what a limit costs: the best plan without it, and under each of its values."""
    from solver import api
    from solver.progress import planning
    from solver.reporting.price import print_prices

    faults = list(out_faults(out, force=force, folder=True)) if out is not None else []
    faults += [*seconds_faults(time_limit), *solver_faults(solver, mip)]
    limits = [one for text in limit for one in _limits(text, faults)]
    problem = judged(faults, lambda: asked.problem(out / "plan.json" if out is not None else None), "price")
    begin = api.load(start).plan if start else None
    with planning(problem.objective) as progress:
        found = api.price(
            problem,
            limits,
            solver,
            time_limit_s=time_limit,
            work_limit=work_limit,
            seed=seed,
            start=begin,
            progress=progress,
            mip=mip,
        )
    if out is not None:
        _write(out, found, force)
    if as_json:
        print_json(found.to_json())
    else:
        print_prices(console(100), found)
        say(f"plans and price.json written to {out}" if out is not None else "give --out to keep the plans")
    if any(row.plan is None for row in (found.free, *found.rows)):
        raise typer.Exit(NO)


def _limits(text: str, faults: list[Fault]) -> Iterator[Limit]:
    """Yield the limits of one flag; what cannot be read is added to the faults."""
    from solver.price import Limit
    from solver.problem import limit_faults

    name, mark, values = text.partition("=")
    for value in values.split(",") if mark else [""]:
        number = value.strip()
        try:
            figure = float(number.removesuffix("%"))
        except ValueError:
            faults.append(Fault("--limit", f"{text!r} is not a name and numbers, as untrusted=0,1e6"))
            return
        is_part = number.endswith("%")
        faults += [Fault("--limit", f"{text}: {message}") for message in limit_faults(name.strip(), figure)]
        yield Limit(name.strip(), figure / 100 if is_part else figure, is_part)


def _write(out: Path, found: PriceList, force: bool) -> None:
    from models.document import dump_json, write_text

    names = ["free", *(f"limit_{i + 1:02d}" for i in range(len(found.rows)))]
    data = found.to_json()
    for name, row, words in zip(
        names, (found.free, *found.rows), (data["free"], *data["limits"]), strict=True
    ):
        if row.plan is not None:
            write_text(out / f"{name}.json", row.plan.to_json(), overwrite=force)
            words["plan"] = f"{name}.json"
    write_text(out / "price.json", dump_json(data), overwrite=force)
