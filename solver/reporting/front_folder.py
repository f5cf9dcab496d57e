"""A front's folder: plans, their pages, ``front.json``, the page of all, and a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.document import parse, write_text
from models.errors import Fault, InputError
from solver.loading import load
from solver.pareto import Front
from solver.problem import OBJECTIVES
from solver.reporting.front import picture
from solver.reporting.front_page import Shown, front_page
from solver.reporting.html_report import html_report

FILE = "front.json"


def is_front(path: Path) -> bool:
    """Return whether a folder holds a front."""
    return (path / FILE).is_file()


def write_front(out: Path, front: Front, *, overwrite: bool = False) -> None:
    """Write every plan and its page, ``front.json``, ``front.html`` and ``front.png`` into a folder.

    Parameters
    ----------
    out
        The folder.
    front
        What was found, at least one plan.
    overwrite
        Whether files may be replaced.

    Raises
    ------
    InputError
        If one of the files exists and may not be replaced; then nothing is written.
    """
    names = [f"plan_{i + 1:02d}" for i in range(len(front.points))]
    files = [f"{name}.{kind}" for name in names for kind in ("json", "html")]
    taken = [name for name in (*files, FILE, "front.html", "front.png") if (out / name).exists()]
    if taken and not overwrite:
        raise InputError([Fault("--out", f"{out / name} exists; give another name") for name in taken])
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("plan_[0-9][0-9].*") if overwrite else ():
        if stale.name not in files and stale.suffix in (".json", ".html"):
            stale.unlink()
    for name, point in zip(names, front.points, strict=True):
        write_text(out / f"{name}.json", point.plan.to_json(), overwrite=overwrite)
    data = front.to_json()
    for name, row in zip(names, data["points"], strict=True):
        row["plan"] = f"{name}.json"
    write_text(out / FILE, json.dumps(data, indent=1, allow_nan=False) + "\n", overwrite=overwrite)
    for shown in read_front(out)[1]:
        one = shown.loaded
        page = html_report(
            one.plan, one.workload, one.cluster, shown.report, title=f"{shown.name} of a front"
        )
        write_text(out / f"{shown.name}.html", page, overwrite=overwrite)
    write_text(out / "front.html", front_folder_page(out, out), overwrite=overwrite)
    picture(front, out / "front.png")


def front_folder_page(folder: Path, beside: Path | None = None) -> str:
    """Return the page of a front's folder.

    Parameters
    ----------
    folder
        What ``partage plan --pareto`` wrote.
    beside
        Folder in which the page will lie: in the front's own, plans are linked to their own pages.

    Raises
    ------
    InputError
        If its files are damaged, with every fault.
    """
    objectives, plans = read_front(folder)
    if beside is None or beside.resolve() != folder.resolve():
        plans = [replace(shown, page=None) for shown in plans]
    return front_page(objectives, plans)


def read_front(folder: Path) -> tuple[tuple[str, ...], list[Shown]]:
    """Return the objectives and plans of a front, evaluated again.

    Parameters
    ----------
    folder
        What ``partage plan --pareto`` wrote.

    Raises
    ------
    InputError
        If its files are damaged, with every fault.
    """
    where = str(folder / FILE)
    data = parse((folder / FILE).read_text(encoding="utf-8"), where, is_json=True)
    objectives = _objectives(data, where)
    plans, faults = [], []
    for i, row in enumerate(data["points"]):
        try:
            plans.append(_shown(folder, objectives, row))
        except InputError as error:
            faults += [Fault(f"points.{i}.{fault.path}".rstrip("."), fault.message) for fault in error.faults]
    if faults:
        raise InputError(faults, where)
    return objectives, plans


def _objectives(data: Any, where: str) -> tuple[str, ...]:
    named = data.get("objectives") if isinstance(data, dict) else None
    if not isinstance(named, dict) or not isinstance(data.get("points"), list) or not data["points"]:
        raise InputError([Fault("", "this is no front: objectives and points are missing")], where)
    unknown = [name for name in named if name not in OBJECTIVES or name == "weighted"]
    if unknown or len(named) < 2:
        raise InputError(
            [Fault("objectives", f"two or more known ones are needed; given: {list(named)}")], where
        )
    return tuple(named)


def _shown(folder: Path, objectives: tuple[str, ...], row: Any) -> Shown:
    words = row if isinstance(row, dict) else {}
    plan = words.get("plan")
    if not isinstance(plan, str) or Path(plan).name != plan:
        raise InputError([Fault("plan", f"a file of the same folder is needed; given: {plan!r}")])
    figures = {name: float(words[name]) for name in objectives if isinstance(words.get(name), int | float)}
    wrong = [name for name in objectives if name not in figures]
    if wrong:
        raise InputError([Fault(name, "a number is needed") for name in wrong])
    loaded = load(folder / plan)
    page = f"{Path(plan).stem}.html"
    return Shown(
        name=Path(plan).stem,
        loaded=loaded,
        report=loaded.evaluate(),
        figures=figures,
        found_by=str(words.get("found_by", "")),
        page=page if (folder / page).is_file() else None,
    )
