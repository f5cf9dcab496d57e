"""What is made of the runs of a bench: summary, figures and page, all written again from ``runs.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.document import dump_json, read, write_text
from models.errors import Fault, InputError
from solver.bench.anytime import curves
from solver.bench.ledger import ASKED, RUNS, Line, last_lines, read_lines
from solver.bench.profile import score_profiles, time_profiles
from solver.bench.references import references
from solver.bench.summary import summary
from solver.reporting.bench_page import bench_page
from solver.reporting.bench_plots import anytime_png, score_profile_png, time_profile_png
from solver.reporting.bench_table import counted

SUMMARY, PAGE = "summary.json", "report.html"


def is_bench(folder: Path) -> bool:
    """Say whether a folder holds the runs of a bench."""
    return (folder / RUNS).is_file() and (folder / ASKED).is_file()


def write_bench(folder: Path) -> dict[str, Any]:
    """Write summary, figures and page of a bench; return the summary.

    Parameters
    ----------
    folder
        Holds ``bench.json`` and ``runs.jsonl``.

    Raises
    ------
    InputError
        If these are damaged, or it cannot be written.
    """
    found, pictures, page = bench_files(folder)
    write_text(folder / SUMMARY, dump_json(found), overwrite=True)
    for name, data in pictures.items():
        _write(folder / name, data)
    write_text(folder / PAGE, page, overwrite=True)
    return found


def bench_files(folder: Path) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Return the summary of a bench, its figures by name, and its page.

    Parameters
    ----------
    folder
        Holds ``bench.json`` and ``runs.jsonl``.

    Raises
    ------
    InputError
        If these are damaged, or there is no run yet.
    """
    asked = read(folder / ASKED)
    lines = last_lines(read_lines(folder))
    if not isinstance(asked, dict) or not lines:
        raise InputError([Fault("", f"{folder} holds no run of a bench")], str(folder))
    found = summary(lines, asked)
    pictures = _pictures(lines, found)
    return found, pictures, bench_page(found, pictures, _command(found, lines))


def _pictures(lines: Sequence[Line], found: Mapping[str, Any]) -> dict[str, bytes]:
    known = references(lines)
    solvers = [row["solver"] for row in found["solvers"]]
    limit = f"{found['time_limit_s']:g} s a run"
    about = f"suite {found['suite']} · {counted(found['num_cases'], 'case')} · {limit}"
    times = time_profiles(lines, known)
    pictures = {}
    if any(line["score"] is not None for line in lines):
        pictures["performance.png"] = score_profile_png(score_profiles(lines), solvers, about)
    if any(one.num_problems for one in times.values()):
        pictures["performance_time.png"] = time_profile_png(times, solvers, about)
    if any(one.score is not None for one in known.values()):
        pictures["anytime.png"] = anytime_png(curves(lines, known), solvers, about)
    return pictures


def _command(found: Mapping[str, Any], lines: Sequence[Line]) -> str:
    seeds = len({line["seed"] for line in lines})
    words = [
        "partage bench",
        f"--suite {found['suite']}",
        *([f"--instances {found['instances']}"] if found["instances"] else []),
        f"--solvers {','.join(sorted({line['solver'] for line in lines}))}",
        f"--time-limit {found['time_limit_s']:g}",
        *([f"--work-limit {found['work_limit']}"] if found["work_limit"] else []),
        f"--seeds {seeds}",
        f"--jobs {max(found['jobs'])}",
        "--out DIR",
    ]
    return " ".join(words)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError([Fault("", f"cannot write {path}: {error}")], str(path)) from None
