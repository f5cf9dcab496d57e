"""The command line: ``partage VERB``. Heavy libraries are imported only by the verb that needs them.

Exit codes: 0 done; 1 the answer is no (infeasible, a limit is broken); 2 the input is wrong; 3 the run broke;
130 interrupted.
"""

from __future__ import annotations

import math
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from models.errors import Fault, InputError, PartageError
from solver.asked import Asked
from solver.verbs.asked import asks_problem
from solver.verbs.common import (
    BROKE,
    DONE,
    INTERRUPTED,
    NO,
    WRONG_INPUT,
    Force,
    Json,
    console,
    judged,
    out_faults,
    print_json,
    say,
    seconds_faults,
    solver_faults,
    solving,
)
from solver.verbs.contribution import contribution
from solver.verbs.deploy import deploy
from solver.verbs.participants import participants
from solver.verbs.price import price
from solver.verbs.profile import profile
from solver.verbs.run import run
from solver.verbs.train import train
from solver.verbs.validate import validate

app = typer.Typer(
    name="partage",
    help="Share a big model out over unequal edge devices; say how good the cut is; run it to prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        say(str(error))
        code = WRONG_INPUT
    except (PartageError, MemoryError) as error:
        say(f"{type(error).__name__.lstrip('_')}: {error or 'there is not enough on this machine'}")
        code = BROKE
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        code = INTERRUPTED
    except typer.Exit as error:
        code = error.exit_code
    except Exception as error:
        code = _usage(error)
    sys.exit(code if isinstance(code, int) else DONE)


def _usage(error: Exception) -> int:
    """Show a wrong flag as the command-line library does; anything else is a bug and keeps its traceback."""
    show = getattr(error, "show", None)
    if show is None:
        traceback.print_exception(error)
        return BROKE
    show()
    return WRONG_INPUT


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="solvers, workloads, clusters, devices, suites or experiments")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show what there is; a broken file is listed with its error."""
    from solver.listing import KINDS, listing, print_listing

    if what and what not in KINDS:
        raise InputError([Fault("", f"cannot list {what!r}; there are: {', '.join(KINDS)}")], "list")
    kinds = (what,) if what else KINDS
    if as_json:
        rows = [row | ({} if what else {"kind": kind}) for kind in kinds for row in listing(kind)]
        print_json(rows)
        return
    for kind in kinds:
        print_listing(console(), kind)


@app.command()
@asks_problem
def plan(
    asked: Asked,
    out: Annotated[Path, typer.Option(help="Where to write the plan (with --pareto: a folder).")],
    pareto: Annotated[
        str | None, typer.Option(help="Two or more objectives, as time,energy: all non-dominated plans.")
    ] = None,
    solver: Annotated[str, typer.Option(help="Name of a solver, or path of a Python file.")] = "best",
    time_limit: Annotated[float, typer.Option(help="Seconds.", min=0)] = 30.0,
    work_limit: Annotated[int | None, typer.Option(help="Units of work, the same everywhere.", min=1)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    mip: Annotated[str, typer.Option(help="Mixed-integer solver: cbc, highs, scip, gurobi, copt.")] = "cbc",
    start: Annotated[Path | None, typer.Option(help="A plan to begin from.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find a plan and write it as JSON."""
    from solver import api
    from solver.pareto import front_faults

    faults = [*out_faults(out, force=force, folder=pareto is not None), *seconds_faults(time_limit)]
    faults += solver_faults(solver, mip)
    objectives = [name.strip() for name in pareto.split(",")] if pareto is not None else []
    if pareto is not None:
        faults += front_faults(objectives)
    what = judged(faults, lambda: asked.problem(out if pareto is None else out / "plan.json"), "plan")
    from solver.progress import planning

    begin = api.load(start).plan if start else None
    if pareto is not None:
        with planning(objectives[0]) as progress, solving(solver):
            front = api.pareto(
                what,
                objectives,
                solver,
                time_limit_s=time_limit,
                work_limit=work_limit,
                seed=seed,
                start=begin,
                progress=progress,
                mip=mip,
            )
        _finish_front(front, out, force, as_json)
        return

    with planning(what.objective) as progress, solving(solver):
        solution = api.plan(
            what,
            solver,
            time_limit_s=time_limit,
            seed=seed,
            start=begin,
            work_limit=work_limit,
            progress=progress,
            mip=mip,
        )
    _finish_plan(solution, what.objective, out, force, as_json)


def _finish_front(front: Any, out: Path, force: bool, as_json: bool) -> None:
    from solver.reporting.front import print_front
    from solver.reporting.front_folder import write_front

    if front.points:
        write_front(out, front, overwrite=force)
    if as_json:
        print_json({**front.to_json(), "folder": str(out)})
    else:
        print_front(console(), front)
        if front.points:
            say(f"plans, front.json, front.html and front.png written to {out}")
    if not front.points:
        say("no plan was found: the limits are too tight, or the time was too short")
        raise typer.Exit(NO)


def _finish_plan(solution: Any, objective: str, out: Path, force: bool, as_json: bool) -> None:
    from models.document import write_text

    if solution.plan is not None:
        write_text(out, solution.plan.to_json(), overwrite=force)
    if as_json:
        report = solution.report.to_json() if solution.report else None
        print_json({**solution.to_json(), "plan": str(out) if solution.plan else None, "report": report})
    else:
        from solver.reporting.show import print_solution

        print_solution(console(), solution, objective)
        if solution.plan is not None:
            say(f"plan written to {out}")
    if solution.plan is None:
        raise typer.Exit(NO)


@app.command()
def evaluate(
    path: Annotated[Path, typer.Argument(metavar="PLAN")],
    best_order: Annotated[
        float | None,
        typer.Option(
            help="Seconds to search for the best order of passes and messages, with a proof.", min=0.1
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a plan costs, and which limits it breaks."""
    from solver import api

    loaded = api.load(path)
    report = loaded.evaluate()
    order = api.best_order(report, best_order) if best_order is not None else None
    if as_json:
        print_json({**report.to_json(), **({"best_order": order.to_json()} if order else {})})
    else:
        from solver.reporting.show import print_order, print_report

        print_report(console(), loaded.plan, loaded.cluster, report)
        if order:
            print_order(console(), order)
    if not report.is_feasible:
        raise typer.Exit(NO)


@app.command()
def compare(paths: Annotated[list[Path], typer.Argument(metavar="PLAN...")], as_json: Json = False) -> None:
    """Lay several plans side by side."""
    from solver import api

    reports = {str(path): api.load(path).evaluate() for path in paths}
    if as_json:
        print_json({name: report.to_json() for name, report in reports.items()})
        return
    from solver.reporting.show import print_comparison

    print_comparison(console(), reports)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a plan."""
    from solver import api

    print_json(api.schema())


app.command()(deploy)
app.command()(run)
app.command()(train)


@app.command()
def bench(
    suite: Annotated[str, typer.Option(help="Name of a suite (partage list suites), or path of its file.")],
    solvers: Annotated[str, typer.Option(help="Names of solvers or paths of files, with commas.")],
    time_limit: Annotated[float, typer.Option(help="Seconds a run.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on in it.")],
    seeds: Annotated[int, typer.Option(help="Runs a solver and case, with seeds 0, 1, ...")] = 1,
    instances: Annotated[Path | None, typer.Option(help="Folder of instances in the suite's format.")] = None,
    select: Annotated[list[str] | None, typer.Option(help="Pattern of names of cases; repeat.")] = None,
    jobs: Annotated[int, typer.Option(help="Runs at the same time.")] = 1,
    work_limit: Annotated[int | None, typer.Option(help="Units of work, the same everywhere.")] = None,
    backend: Annotated[str, typer.Option(help="loky, dask or sequential.")] = "loky",
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    grace: Annotated[float, typer.Option(help="Seconds after its limit at which a run is stopped.")] = 10.0,
    memory_limit: Annotated[float | None, typer.Option(help="GiB at which a run is stopped.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Do failed runs again.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Write better scores into the suite's best known ones.")
    ] = False,
    bounds_of: Annotated[
        str, typer.Option(help="With --record: solvers whose space is the whole suite's, with commas.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Run solvers on a suite, each run in a process of its own; exit code 1 if a run failed."""
    from solver import api
    from solver.progress import benching

    if memory_limit is not None and not (math.isfinite(memory_limit) and memory_limit > 0):
        raise InputError([Fault("--memory-limit", f"{memory_limit} is no positive number of GiB")], "bench")
    words: dict[str, Any] = {
        "instances": instances,
        "select": tuple(select or ()),
        "jobs": jobs,
        "work_limit": work_limit,
        "backend": backend,
        "scheduler": scheduler,
        "grace_s": grace,
        "memory_limit_bytes": None if memory_limit is None else int(memory_limit * 2**30),
        "retry_failed": retry_failed,
        "record": record,
        "bounds_of": _listed(bounds_of),
    }
    try:
        with benching() as progress:
            found = api.bench(
                suite,
                _listed(solvers),
                time_limit_s=time_limit,
                out=out,
                seeds=seeds,
                progress=progress,
                **words,
            )
    except KeyboardInterrupt:
        say(f"interrupted; what is done lies in {out}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(found)
    else:
        from solver.reporting.bench_table import print_tables

        print_tables(console(120), found)
        say(f"page written to {out / 'report.html'}")
    if found["num_failed"]:
        raise typer.Exit(NO)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


app.command()(validate)
app.command()(profile)
app.command()(price)
app.command()(participants)
app.command()(contribution)


@app.command()
def report(
    path: Annotated[Path, typer.Argument(metavar="PLAN|RUN_DIR|TRAIN_DIR|FRONT_DIR|BENCH_DIR")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; of a training, its own page if not given.")
    ] = None,
    force: Force = False,
) -> None:
    """Draw a plan, a run, a training, a front, or a bench, as one self-contained HTML page."""
    from models.document import write_text
    from solver.phases.page import PAGE
    from solver.phases.page_again import training_folder, training_page
    from solver.reporting.folder import page_of

    folder = training_folder(path)
    if folder is not None:
        where = out or folder / PAGE
        write_text(where, training_page(folder, where.parent), overwrite=force or out is None)
    elif out is None:
        raise InputError([Fault("--out", "is missing: give the HTML file to write")], "report")
    else:
        where = out
        write_text(where, page_of(path, where.parent), overwrite=force)
    say(f"report written to {where}")


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="PLAN")],
    to: Annotated[str, typer.Option(help="json, chrome, html, dot or csv.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    force: Force = False,
) -> None:
    """Write a plan in another format."""
    from models.document import write_text
    from solver import api
    from solver.reporting.exports import export as convert

    loaded = api.load(path)
    text = convert(loaded.plan, loaded.workload, loaded.cluster, loaded.evaluate(), to=to)
    write_text(out, text, overwrite=force)
    say(f"{to} written to {out}")


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="Name of an experiment.")],
    quick: Annotated[bool, typer.Option("--quick", help="A small version, in about a minute.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Make it again and compare; 1: differs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make a finished result anew.")] = False,
    jobs: Annotated[int, typer.Option(help="Cells made at the same time.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="Where to write (default: results/NAME).")] = None,
) -> None:
    """Run an experiment, or go on with it: the same as ``python -m experiments NAME``."""
    import subprocess

    flags = {"--quick": quick, "--verify": verify, "--force": force}
    words = [sys.executable, "-m", "experiments", name, *(flag for flag, given in flags.items() if given)]
    words += ["--jobs", str(jobs), *(["--out", str(out)] if out is not None else [])]
    raise typer.Exit(subprocess.run(words, check=False).returncode)


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for plan, trace and report; replaced.")] = Path(
        "results/quickstart"
    ),
) -> None:
    """Do the main job on real input: plan, train, compare with the undivided run, draw."""
    from solver.quickstart import quickstart as walk

    raise typer.Exit(walk(out))


if __name__ == "__main__":
    main()
