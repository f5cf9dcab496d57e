"""A run's folder: plan, trace and page together; and the page of a plan or of such a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.document import parse, write_text
from models.errors import Fault, InputError
from solver.evaluate import evaluate
from solver.loading import Loaded, load
from solver.reporting.bench_folder import bench_files, is_bench
from solver.reporting.chrome_trace import chrome_trace
from solver.reporting.elastic import FILE, elastic_page
from solver.reporting.from_trace import measured_of
from solver.reporting.front_folder import front_folder_page, is_front
from solver.reporting.html_report import html_report
from solver.status import Solution

if TYPE_CHECKING:
    from solver.execution.run import RunResult
    from solver.execution.trace import Trace


def write_run(
    out: Path,
    loaded: Loaded,
    result: RunResult,
    *,
    solution: Solution | None = None,
    overwrite: bool = False,
) -> None:
    """Write plan, page, Chrome trace and figures of a run beside its trace.

    Parameters
    ----------
    out
        The folder.
    loaded, result
        What was run, and what was found.
    solution
        Who found the plan.
    overwrite
        Whether files may be replaced.
    """
    weights = result.max_relative_weight_difference
    measured = measured_of(
        result.trace,
        result.report.program,
        max_relative_weight_difference=weights,
        energy=result.energy,
    )
    page = html_report(
        loaded.plan, loaded.workload, loaded.cluster, result.report, measured=measured, solution=solution
    )
    files = {
        "report.html": page,
        "chrome_trace.json": json.dumps(chrome_trace(result.report, measured=measured), allow_nan=False),
        "figures.json": json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n",
        "plan.json": loaded.at(out).to_json(),
    }
    for name, text in files.items():
        write_text(out / name, text, overwrite=overwrite)


def page_of(path: Path, beside: Path | None = None) -> str:
    """Return the page of a plan, or of the folder of a run, a front or a bench.

    Parameters
    ----------
    path
        A plan file, a trace file, a folder with ``plan.json`` and perhaps ``trace.json``, the folder of an
        elastic run, of a front, or of a bench.
    beside
        Folder in which the page will lie.

    Raises
    ------
    InputError
        If it is neither.
    """
    if is_front(path):
        return front_folder_page(path, beside)
    if is_bench(path):
        return bench_files(path)[2]
    if (path / FILE).exists() and not (path / "trace.json").exists():
        return elastic_page(path)
    folder = path if path.is_dir() else path.parent
    trace_path = path if path.name == "trace.json" else folder / "trace.json" if path.is_dir() else None
    plan_path = path if path.is_file() and path.name != "trace.json" else folder / "plan.json"
    loaded = load(plan_path)
    report = evaluate(loaded.plan, loaded.workload, loaded.cluster)
    measured = None
    if trace_path is not None and trace_path.exists():
        from solver.execution.energy import trace_energy

        trace = read_trace(trace_path)
        energy = trace_energy(trace, loaded.plan, loaded.cluster, report.program)
        measured = measured_of(trace, report.program, energy=energy)
    return html_report(loaded.plan, loaded.workload, loaded.cluster, report, measured=measured)


def read_trace(path: Path) -> Trace:
    """Read a trace.

    Parameters
    ----------
    path
        The file a run wrote.

    Raises
    ------
    InputError
        If it is damaged, or no trace.
    """
    from solver.execution.trace import VERSION, DeviceTrace, Trace

    data = parse(path.read_text(encoding="utf-8"), str(path), is_json=True)
    wanted = {field.name for field in fields(Trace)}
    if not isinstance(data, dict) or not {"plan", "mode", "losses", "devices", "start_s"} <= set(data):
        raise InputError([Fault("", "this is no trace of a run")], str(path))
    if data.get("version", 1) > VERSION:
        raise InputError(
            [Fault("version", f"trace of a newer version; this reads up to {VERSION}")], str(path)
        )
    try:
        devices = {name: DeviceTrace(**_tuples(part)) for name, part in data["devices"].items()}
        return Trace(**{**_tuples(data), "devices": devices, "plan": data["plan"]} | _extra(data, wanted))
    except (TypeError, AttributeError) as error:
        raise InputError([Fault("", f"damaged trace: {error}")], str(path)) from None


def _extra(data: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
    unknown = set(data) - wanted
    if unknown:
        raise TypeError(f"unknown words {sorted(unknown)}")
    return {}


def _tuples(value: Any) -> Any:
    """Turn the lists inside into tuples, as a frozen record holds them."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
