"""The page of the throughput experiment: figures, headlines, and where they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from experiments.cases.planners import ASTEROIDS, CONVENTIONAL, HYBRIDS, PLANNERS
from experiments.frame.plots import PAGE_IN, cumulative, heat, panels, style
from experiments.frame.study import Study
from experiments.frame.tables import markdown
from experiments.pages.headlines import Case, Row, Speedups, cases, speedups, text_of

LABELS = {
    "single": "best single board",
    "data_even": "data parallel, equal shares",
    "data_parallel": "data parallel, shares by speed",
    "pipeline_even": "pipeline, even split",
    "gpipe": "GPipe",
    "eddl": "EDDL",
    "pipedream": "PipeDream",
    "dapple": "DAPPLE",
    "hetpipe": "HetPipe",
    "asteroid": "Asteroid",
    "asteroid_subsets": "Asteroid on every subset",
    "ours": "ours",
}


class Claim(NamedTuple):
    """A headline: over whom, and what the paper says of it; an empty text where it says nothing."""

    text: str
    others: tuple[str, ...]
    theirs: str = ""


CONVENTIONAL_CLAIM, HYBRID_CLAIM = "up to 12.2x", "up to 2.1x"
CLAIMS = (
    Claim("any of data and pipeline parallelism", CONVENTIONAL, CONVENTIONAL_CLAIM),
    *(Claim(LABELS[name], (name,)) for name in CONVENTIONAL),
    Claim("any of the earlier hybrids", HYBRIDS, HYBRID_CLAIM),
    *(Claim(LABELS[name], (name,)) for name in HYBRIDS),
    Claim("best single board", ("single",)),
    Claim("Asteroid as published", ("asteroid",)),
)


def figures(study: Study, rows: Sequence[Row]) -> None:
    """Draw every planner's rate beside ours, and the distribution of our speed-ups.

    Parameters
    ----------
    study
        Where.
    rows
        Of the table ``planners``.
    """
    found = [case for case in cases(rows) if case.words["micro_batches"] == "own"]
    names = [*PLANNERS, "ours"]
    rates = sorted({case.words["mbit_per_s"] for case in found})
    clusters = list(dict.fromkeys(case.words["cluster"] for case in found))
    with style():
        figure, axes = panels(1, len(rates), width_in=PAGE_IN, height_in=3.1, sharey=True)
        for one, rate in zip(axes, rates, strict=True):
            values = [[_mean_share(found, name, cluster, rate) for cluster in clusters] for name in names]
            columns = [cluster.replace(", ", "\n") for cluster in clusters]
            heat(one, values, columns=columns, rows=[LABELS[name] for name in names], largest=1.0)
            one.set_title(f"{rate} Mbit/s")
        study.figure("rates", figure)
        figure, axes = panels(1, 1)
        series = {
            "all conventional": _ratios(found, CONVENTIONAL),
            "earlier hybrids": _ratios(found, HYBRIDS),
            "Asteroid": _ratios(found, ASTEROIDS[:1]),
            "best single board": _ratios(found, ("single",)),
        }
        cumulative(axes[0], series, x_label="our speed-up over the best of them", y_label="part of the cases")
        axes[0].set_xscale("log")
        axes[0].set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        axes[0].minorticks_off()
        axes[0].legend(loc="lower right")
        study.figure("speedups", figure)


def _mean_share(found: Iterable[Case], name: str, cluster: str, rate: int) -> float | None:
    shares = [
        case.rates.get(name, 0.0) / case.rates["ours"]
        for case in found
        if case.words["cluster"] == cluster and case.words["mbit_per_s"] == rate
    ]
    return sum(shares) / len(shares)


def _ratios(found: Iterable[Case], others: Sequence[str]) -> list[float]:
    return [
        case.rates["ours"] / max(case.rates[name] for name in others if name in case.rates)
        for case in found
        if any(name in case.rates for name in others)
    ]


def page(study: Study, rows: Sequence[Row]) -> None:
    """Write the README.

    Parameters
    ----------
    study
        Where.
    rows
        Of the table ``planners``.
    """
    found = cases(rows)
    study.readme(
        _asked(found),
        "## Headlines",
        'Largest speed-ups of all cases, over the worst of those named that fits: so "up to" is read.',
        markdown(_headlines(found)),
        "## The same with fair baselines",
        "Over the *best* of those named in each case; every planner at its own best number of micro-batches.",
        markdown(_fair([case for case in found if case.words["micro_batches"] == "own"])),
        "## Where it comes from",
        *_why(found),
        "## By links and batch",
        markdown(_regimes(found)),
        "![Every planner's rate as part of ours, mean over models and batches](rates.png)",
        "*Samples per second as part of ours, mean over models and batches; no plan counts 0.*",
        "![Our speed-up over the best of a group, part of the cases](speedups.png)",
        "## Planners",
        markdown(_planners(found)),
    )


def _asked(found: Sequence[Case]) -> str:
    proven = sum(bool(case.rows["ours"]["is_proven"]) for case in found)
    return f"""\
{len(found)} cases: {_count(found, "model")} models (fp32, SGD with momentum) on
{_count(found, "cluster")} clusters of equal and of mixed Jetson boards, at
{_count(found, "mbit_per_s")} rates of a switch and with {_count(found, "batch")} sizes of the batch,
with a fixed number of micro-batches and with every planner at its own best one of the divisors of the
batch up to 32. Which boards, batches and micro-batches the paper's environments A to D had is not known
to us; these are our choices. Boards are cards of the catalogue whose speeds are estimates (0.4 of the
FP32 peak). All plans are judged by one evaluator. In every case ours is at least as fast as every other
plan (the experiment fails otherwise), and in {proven} of {len(found)} it is proven that no hybrid
pipeline is faster (stages in mode data, in-flight rule as stated; the bound is in planners.csv)."""


def _count(found: Sequence[Case], word: str) -> int:
    return len({case.words[word] for case in found})


def _headlines(found: Sequence[Case]) -> list[dict[str, Any]]:
    lines = []
    for claim in CLAIMS:
        ours = speedups(found, "ours", claim.others, pick=min)
        several = speedups(_several(found), "ours", claim.others, pick=min)
        theirs = speedups(found, "asteroid", claim.others, pick=min)
        if ours is not None:
            lines.append(
                {
                    "over": claim.text,
                    "theirs (the paper)": claim.theirs or "-",
                    "Asteroid's planner here": _times(theirs),
                    "ours": _times(ours),
                    "ours on several boards": _times(several),
                    "the case of our largest": f"{text_of(ours.case)}: {_shape(ours.case)}",
                }
            )
    return lines


def _several(found: Iterable[Case]) -> list[Case]:
    return [case for case in found if case.rows["ours"]["devices"] > 1]


def _times(found: Speedups | None) -> str:
    return "-" if found is None else f"{found.largest:.3g}x"


def _shape(case: Case) -> str:
    row = case.rows["ours"]
    words = {"board": row["devices"], "stage": row["stages"], "pipeline": row["pipelines"]}
    parts = [f"{n} {word}{'s' if n > 1 else ''}" for word, n in words.items() if n > 1 or word == "board"]
    return "our plan has " + ", ".join(parts)


def _fair(found: Sequence[Case]) -> list[dict[str, Any]]:
    lines = []
    for claim in CLAIMS:
        ours, theirs = (speedups(found, name, claim.others) for name in ("ours", "asteroid"))
        if ours is not None:
            lines.append(
                {
                    "over the best of": claim.text,
                    "Asteroid's planner here, largest": _times(theirs),
                    "median": None if theirs is None else theirs.middle,
                    "ours, largest": _times(ours),
                    "ours, median": ours.middle,
                    "cases": ours.count,
                    "the case of our largest": text_of(ours.case),
                }
            )
    return lines


def _why(found: Sequence[Case]) -> list[str]:
    return [part for part in (_over_conventional(found), _over_hybrids(found), _over_asteroid(found)) if part]


def _over_conventional(found: Sequence[Case]) -> str:
    most = speedups(found, "ours", CONVENTIONAL, pick=min)
    several = speedups(_several(found), "ours", CONVENTIONAL, pick=min)
    if most is None or several is None:
        return ""
    base, mine = most.case.rows[most.over], most.case.rows["ours"]
    return f"""\
Over conventional parallelism. Our largest, {most.largest:.3g}x, is over {LABELS[most.over]}
({text_of(most.case)}): a step takes it {base["step_time_s"]:.3g} s, of which its boards compute
{1 - base["bubble"]:.1%} and otherwise wait for {base["traffic_bytes"] / 1e6:.3g} MB on the links; ours
takes {mine["step_time_s"]:.3g} s on {mine["devices"]} of {_boards(most.case)} boards and sends
{mine["traffic_bytes"] / 1e6:.3g} MB. It says that the links make that baseline bad, not that the plan
is clever: the best single board has {most.case.rates.get("single", 0):.3g} samples per second there,
ours {most.case.rates["ours"]:.3g}. Among plans of several boards the largest is {several.largest:.3g}x,
over {LABELS[several.over]} ({text_of(several.case)}; its boards compute
{1 - several.case.rows[several.over]["bubble"]:.1%} of the time, ours
{1 - several.case.rows["ours"]["bubble"]:.1%}). A step's gradients weigh the same whatever its batch, so
the ratio grows with slower links and smaller batches, without end: a factor says little without them,
and ours and theirs cannot be compared without the paper's. All boards at once, links free, would be
{_limit(found):.3g} times as fast as the best single board at the median, {_limit(found, max):.3g} times
at most; so ours over *one board* cannot be more than that, and is {_largest(found, "single")} at most."""


def _limit(found: Sequence[Case], pick: Any = median) -> float:
    values = [
        case.rows["ours"]["compute_limit_samples_per_s"] / case.rates["single"]
        for case in found
        if "single" in case.rates
    ]
    return float(pick(values))


def _largest(found: Sequence[Case], name: str) -> str:
    return _times(speedups(found, "ours", (name,)))


def _over_hybrids(found: Sequence[Case]) -> str:
    fair, worst = speedups(found, "ours", HYBRIDS), speedups(found, "ours", HYBRIDS, pick=min)
    theirs = speedups(found, "asteroid", HYBRIDS, pick=min)
    if fair is None or worst is None or theirs is None:
        return ""
    close = sum(bool(case.rows["ours"]["is_proven"]) for case in found)
    return f"""\
Over earlier hybrids. Over the best of them ours is {fair.middle:.3g}x at the median and
{fair.largest:.3g}x at most ({text_of(fair.case)}); in {close} of {len(found)} cases no hybrid pipeline
could be more, since ours is proven. Over the worst of them that fits it is up to {worst.largest:.3g}x
({LABELS[worst.over]}; {text_of(worst.case)}), and Asteroid's planner up to {theirs.largest:.3g}x
({LABELS[theirs.over]}; {text_of(theirs.case)}). So which earlier planner is asked, and whether it knows
unequal boards, decides more than the planner that is praised: DAPPLE plans for mean boards, PipeDream
for the cluster's order and even shares, HetPipe is recalled, and EDDL is only known by its abstract
(ours of it leaves boards out whenever that is faster by its estimate, often all but one)."""


def _over_asteroid(found: Sequence[Case]) -> str:
    lines, one = [], speedups(found, "ours", ("asteroid",))
    for name in PLANNERS[:-2]:
        pairs = [c.rates["asteroid"] / c.rates[name] for c in found if {"asteroid", name} <= c.rates.keys()]
        if pairs:
            lines.append(f"{LABELS[name]} {sum(r >= 1 - 1e-9 for r in pairs)} of {len(pairs)}")
    if one is None:
        return ""
    subset = speedups(found, "asteroid_subsets", ("asteroid",))
    left_out = sum(case.rows["ours"]["devices"] < _boards(case) for case in found)
    return f"""\
The paper's ordering. Asteroid's planner is at least as fast as the others in so many of the cases where
both have a plan: {"; ".join(lines)}. Where it is slower it is because it must use all boards it is
given: on every subset of them it is up to {_times(subset)} faster, and ours, which leaves boards out in
{left_out} of {len(found)} cases, up to {one.largest:.3g}x ({text_of(one.case)}; {one.middle:.3g}x at
the median)."""


def _boards(case: Case) -> int:
    return sum(int(part.split()[0]) for part in case.words["cluster"].split(", "))


def _regimes(found: Sequence[Case]) -> list[dict[str, Any]]:
    lines = []
    keys = dict.fromkeys(
        (c.words["mbit_per_s"], c.words["batch"], str(c.words["micro_batches"])) for c in found
    )
    for rate, batch, count in sorted(keys):
        part = [
            c
            for c in found
            if (c.words["mbit_per_s"], c.words["batch"], str(c.words["micro_batches"]))
            == (rate, batch, count)
        ]
        line: dict[str, Any] = {"Mbit/s": rate, "batch": batch, "micro-batches": count}
        for name in (
            "data_parallel",
            "pipeline_even",
            "hetpipe",
            "dapple",
            "pipedream",
            "asteroid",
            "single",
        ):
            one = speedups(part, "ours", (name,))
            line[f"over {LABELS[name]}"] = "-" if one is None else f"{one.middle:.3g}x, {one.largest:.3g}x"
        line["ours, boards used, median"] = median(c.rows["ours"]["devices"] for c in part)
        lines.append(line)
    return lines


def _planners(found: Sequence[Case]) -> list[dict[str, Any]]:
    lines = []
    for name in (*PLANNERS, "ours"):
        rows = [case.rows[name] for case in found]
        fits = [row for row in rows if row["samples_per_s"] is not None]
        reasons = Counter(row["why_none"].split(":")[0] for row in rows if row["samples_per_s"] is None)
        shares = [case.rates[name] / case.rates["ours"] for case in found if name in case.rates]
        lines.append(
            {
                "planner": LABELS[name],
                "cases with a plan": len(fits),
                "without": ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "-",
                "rate, part of ours, median": median(shares),
                "bubble, median": median(row["bubble"] for row in fits),
                "MB sent a step, median": median(row["traffic_bytes"] for row in fits) / 1e6,
                "fullest board, GB, median": median(row["peak_memory_bytes"] for row in fits) / 1e9,
                "J a sample, median": median(row["energy_j_per_sample"] for row in fits),
                "boards used, median": median(row["devices"] for row in fits),
            }
        )
    return lines
