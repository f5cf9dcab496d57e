"""Lines of runs for tests, written by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from solver.space import Space


def line(case: str, solver: str, score: float | None = None, seed: int = 0, **words: Any) -> dict[str, Any]:
    """A run that ended after 1 s of 10 s, with one incumbent at its end."""
    status = "UNKNOWN" if score is None else "FEASIBLE"
    wall_s = words.get("wall_s", 1.0)
    return {
        **{
            "suite": "toy",
            "instance": case,
            "variant": "",
            "parameters": {},
            "labels": {},
            "case": case,
            "solver": solver,
        },
        **{"seed": seed, "time_limit_s": 10.0, "work_limit": None, "status": status, "failure": None},
        **{"stopped_by": None, "score": score, "bound": None, "gap": None, "objective": None},
        **{"best_known": None, "known_bound": None, "wall_s": wall_s, "peak_memory_bytes": 1_000_000},
        **{"solution_file": None, "incumbents": [] if score is None else [[wall_s, score]], "bounds": []},
        **{"space": asdict(Space()), "reason": "", "jobs": 1, "began": "2026-01-01T00:00:00+00:00"},
        **{"versions": {"partage": "1"}, "machine": {"cpu": "x", "cores": 2, "system": "Linux"}},
        **words,
    }
