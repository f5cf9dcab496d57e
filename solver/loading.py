"""Loading: a plan file with the workload and cluster it names, by catalogue name or by relative path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import catalog
from models.cluster import Cluster
from models.document import parse, read, validate
from models.errors import Fault, InputError
from models.workload import Workload
from solver import evaluate as evaluator
from solver.plan import Plan
from solver.report import Report
from solver.settings import Settings


@dataclass(frozen=True)
class Loaded:
    """A plan with the workload and cluster it names, and the folder its paths are relative to."""

    plan: Plan
    workload: Workload
    cluster: Cluster
    base: Path = Path()

    def at(self, folder: Path) -> Plan:
        """Return the plan as it reads in another folder: its paths are relative to where it lies."""
        change = {
            word: reference.model_copy(
                update={"name": relative_name(reference.name, folder / "plan.json", self.base)}
            )
            for word, reference in (("workload", self.plan.workload), ("cluster", self.plan.cluster))
        }
        return self.plan.model_copy(update=change)

    def evaluate(self, settings: Settings | None = None) -> Report:
        """Return what the plan costs."""
        return evaluator.evaluate(self.plan, self.workload, self.cluster, settings)


def load(path: Path | str) -> Loaded:
    """Read a plan and what it names.

    Parameters
    ----------
    path
        Plan file; it names workload and cluster by catalogue name or by a path relative to itself.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    path = Path(path)
    data = read(path) if path.suffix in (".yaml", ".yml") else parse(_text(path), str(path), is_json=True)
    plan = validate(Plan, data, str(path))
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for word, reference in (("workload", plan.workload), ("cluster", plan.cluster)):
        reader = catalog.workload if word == "workload" else catalog.cluster
        try:
            found[word] = reader(reference.name, path.parent)
        except InputError as error:
            faults += [Fault(f"{word}.name", str(fault)) for fault in error.faults]
    if faults:
        raise InputError(faults, str(path))
    return Loaded(plan, found["workload"], found["cluster"], path.parent)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None


def relative_name(ref: str, out: Path | None, base: Path = Path()) -> str:
    """Return how a plan at ``out`` names ``ref``: a name stays, a path becomes relative to the plan."""
    is_path = "/" in ref or ref.endswith((".json", ".yaml", ".yml"))
    if not is_path:
        return ref
    relative = os.path.relpath(base / ref, out.parent if out is not None else Path.cwd())
    return relative if "/" in relative else f"./{relative}"
