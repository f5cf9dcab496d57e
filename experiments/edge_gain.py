"""How much time `best` saves on the suite `edge` over Asteroid, its subsets and one device, and why.

`python -m experiments edge_gain` benches the suite, which takes hours, and reports. A bench that can be
broken off and gone on with is `partage bench --suite edge`; `python -m experiments.edge_gain BENCH --out DIR`
reports on its folder. Time saved is 1 - best / other, of step times by the evaluator, seed 0. Problems on
which the other has no plan are counted apart. Restrictions are lifted in turn as `cases/edge_steps.py` says.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from experiments.cases.edge_steps import STEPS, asteroid_steps, falling, with_algorithm_1
from models.document import dump_json, read, write_text
from solver.bench.asked import Asked
from solver.bench.ledger import last_lines, read_lines
from solver.bench.sweep import sweep
from solver.plan import Plan
from solver.suites import edge

BASELINES = (
    *("single", "data_parallel", "gpipe", "pipedream", "dapple", "eddl", "hetpipe"),
    *("asteroid", "asteroid_subsets"),
)
COMPARED = ("asteroid", "asteroid_subsets", "single")
GROUPS: dict[str, tuple[str, ...]] = {
    "regime": ("gigabit", "slow", "mixed", "rooms"),
    "boards": ("catalogue", "drawn"),
    "memory": ("loose", "tight"),
}
Line = Mapping[str, Any]
Scores = dict[str, dict[str, float]]
"""Instance to step time by who found it; `best` with the cap free is `best, cap free`."""
FREE = "best, cap free"


def run(out: Path, *, quick: bool) -> None:
    """Bench the suite into `out / bench`, and report.

    Parameters
    ----------
    out
        Where it writes.
    quick
        Two small problems and 3 seconds a run, not sixty and a minute.
    """
    bench, limit_s = out / "bench", 3.0 if quick else 60.0
    names = ("gigabit_05*", "rooms_04*") if quick else ("*",)
    solvers = COMPARED if quick else BASELINES
    for variant, wanted in (("default", (*solvers, "best")), ("free", ("best",))):
        select = tuple(f"{name}:{variant}" for name in names)
        sweep(Asked("edge", wanted, limit_s, select=select), bench)
    report(bench, out)


def report(bench: Path, out: Path) -> str:
    """Write the tables of a bench's folder into `out`, and return them.

    Parameters
    ----------
    bench
        Folder of a bench of the suite.
    out
        Where README.md and gains.json are written.
    """
    lines = [line for line in last_lines(read_lines(bench)) if line["seed"] == 0]
    scores, words = scores_of(lines), {line["instance"]: line["labels"] for line in lines}
    steps = {name: steps_of(bench, lines, name, scores[name]) for name in scores}
    text = "\n".join(
        [
            *(__doc__.strip().split("\n")[0], "", _made_by(lines), "", *_gain_tables(scores, words)),
            *("", "## Never worse", "", *_worse(scores, lines)),
            *("", "## Restrictions lifted in turn", "", *_step_table(steps, words)),
            *("", "## Proven gap, at most 6 devices", "", *_gap_table(lines)),
        ]
    )
    write_text(out / "README.md", text + "\n", overwrite=True)
    data = {"scores": {k: _finite(v) for k, v in scores.items()}, "steps": _each(steps)}
    write_text(out / "gains.json", dump_json(data), overwrite=True)
    print(text)
    return text


def _made_by(lines: Sequence[Line]) -> str:
    """Say how the runs were made, and where."""
    limits = sorted({line["time_limit_s"] for line in lines})
    words = [
        f"`partage bench --suite edge`, {' and '.join(f'{limit:g}' for limit in limits)} s a run, seed 0"
    ]
    for key in ("machine", "versions"):
        found = {json.dumps(line[key], sort_keys=True): line[key] for line in lines}
        words += [
            ", ".join(f"{k} {v}" for k, v in one.items() if v and k != "host") for one in found.values()
        ]
    return "; ".join(words) + "."


def scores_of(lines: Iterable[Line]) -> Scores:
    """Return the step time of every run that has a plan, by instance and solver.

    Parameters
    ----------
    lines
        Lines of a bench.
    """
    found: Scores = {}
    for line in lines:
        here = found.setdefault(line["instance"], {})
        if line["score"] is None or line["failure"]:
            continue
        if line["variant"] == "default":
            here[line["solver"]] = line["score"]
        elif line["solver"] == "best":
            here[FREE] = line["score"]
    return found


def saved(scores: Mapping[str, float], mine: str, other: str) -> float | None:
    """Return the part of the other's time that is saved; `None` where one of them has no plan."""
    return 1 - scores[mine] / scores[other] if mine in scores and other in scores else None


def _gain_tables(scores: Scores, words: Mapping[str, Any]) -> list[str]:
    rows = []
    for mine in ("best", FREE):
        for other in COMPARED:
            rows += ["", f"## {mine}: time saved over {other}, %", ""]
            rows += [
                "| problems | n | without a plan of the other | median | mean | max |",
                "|---|" + "--:|" * 5,
            ]
            for title, names in _groups(scores, words):
                have = [name for name in names if mine in scores[name]]
                gains = [g for name in have if (g := saved(scores[name], mine, other)) is not None]
                rows.append(f"| {title} | {len(gains)} | {len(have) - len(gains)} | {_three(gains)} |")
    return rows[1:]


def _groups(names: Iterable[str], words: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    every = sorted(names)
    found = [("all", every)]
    for word, values in GROUPS.items():
        found += [(value, [n for n in every if words[n][word] == value]) for value in values]
    return [(title, listed) for title, listed in found if listed]


def _three(values: list[float]) -> str:
    if not values:
        return "- | - | -"
    return " | ".join(f"{100 * figure(values):.1f}" for figure in (median, mean, max))


def _worse(scores: Scores, lines: Iterable[Line]) -> list[str]:
    """List where `best` ran and another solver has a better plan, for either rule on caps."""
    rows = []
    for variant, mine in (("default", "best"), ("free", FREE)):
        ran = {line["instance"] for line in lines if line["solver"] == "best" and line["variant"] == variant}
        worse = [
            f"- {name}, {variant}: {other} {score:.6g} s, best {scores[name].get(mine, math.inf):.6g} s"
            for name in sorted(ran)
            for other, score in scores[name].items()
            if other not in ("best", FREE) and score < scores[name].get(mine, math.inf) * (1 - 1e-9)
        ]
        none = (
            f"- In-flight rule {variant}: `best` is never worse than another solver, on {len(ran)} problems."
        )
        rows += worse or [none]
    return rows


def steps_of(bench: Path, lines: Iterable[Line], name: str, scores: Mapping[str, float]) -> dict[str, float]:
    """Return the least score up to every step, seconds.

    Parameters
    ----------
    bench
        Folder of the bench, which has the plans.
    lines
        Its lines.
    name
        The instance.
    scores
        Step times of the instance by who found it.
    """
    case = next(c for c in edge.cases() if c.instance == name and c.variant == "default")
    problem = edge.problem(case)
    files = {
        line["solver"]: line.get("solution_file")
        for line in lines
        if line["instance"] == name and line["variant"] == "default"
    }
    plans = {
        solver: Plan.model_validate(read(bench / file)["plan"]) for solver, file in files.items() if file
    }
    found = asteroid_steps(problem, plans.get("asteroid_subsets"))
    if "best" in plans:
        found["cuts"] = with_algorithm_1(problem, plans["best"])
    known = {"published": "asteroid", "subset": "asteroid_subsets", "shares": "best", "cap": FREE}
    found |= {step: scores[solver] for step, solver in known.items() if solver in scores}
    return falling(found)


def _step_table(steps: Mapping[str, Mapping[str, float]], words: Mapping[str, Any]) -> list[str]:
    """Return mean points of the first score there is that every step saves."""
    rows = [
        "Mean points of Asteroid's time that each step saves, where it has a plan; below, of that of "
        "asteroid_subsets where that has one.",
        "",
    ]
    for base in STEPS[:2]:
        later = STEPS[STEPS.index(base) + 1 :]
        rows += [f"| of {base}: problems | n | {' | '.join(later)} |", "|---|" + "--:|" * (1 + len(later))]
        for title, names in _groups(steps, words):
            have = [steps[name] for name in names if math.isfinite(steps[name][base])]
            rows.append(f"| {title} | {len(have)} | {' | '.join(_points(have, base, later))} |")
        rows.append("")
    return rows[:-1]


def _points(have: list[Mapping[str, float]], base: str, later: tuple[str, ...]) -> list[str]:
    before = dict(zip(later, (base, *later), strict=False))
    if not have:
        return ["-"] * len(later)
    return [f"{100 * mean((s[before[step]] - s[step]) / s[base] for s in have):.1f}" for step in later]


def _gap_table(lines: Iterable[Line]) -> list[str]:
    rows = ["| in-flight rule | boards | n | with a bound | median gap, % |", "|---|---|--:|--:|--:|"]
    for variant in edge.VARIANTS:
        for boards in GROUPS["boards"]:
            gaps = [
                line["gap"]
                for line in lines
                if line["solver"] == "best" and line["variant"] == variant and line["score"] is not None
                if line["labels"]["boards"] == boards and _num_devices(line["instance"]) <= 6
            ]
            known = [1.0 if gap is None else gap for gap in gaps]
            middle = f"{100 * median(known):.2f}" if known else "-"
            rows.append(
                f"| {variant} | {boards} | {len(gaps)} | {sum(g is not None for g in gaps)} | {middle} |"
            )
    return rows


def _num_devices(instance: str) -> int:
    return int(instance.rsplit("_on_", 1)[1])


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in scores.items()}


def _each(steps: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {name: _finite(found) for name, found in sorted(steps.items())}


def main() -> None:
    """Report on a folder of a bench."""
    parser = argparse.ArgumentParser(prog="python -m experiments.edge_gain", description=main.__doc__)
    parser.add_argument("bench", type=Path, help="folder of `partage bench --suite edge`")
    parser.add_argument("--out", type=Path, required=True, help="where README.md and gains.json are written")
    given = parser.parse_args()
    report(given.bench, given.out)


if __name__ == "__main__":
    main()
