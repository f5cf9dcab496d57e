"""The orderings of the energy case, counted over cases: where they hold, and what bytes and waits say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any

Row = Mapping[str, Any]
PAIRS = (("data", "sequence"), ("data", "tensor"), ("pipeline", "sequence"), ("pipeline", "tensor"))
"""The first of each uses less energy than the second on slow links."""
COLLABORATIVE = ("data", "sequence", "tensor", "pipeline", "hybrid")


class OrderingError(Exception):
    """An ordering that the README states does not hold: the experiment must not go on."""


def by_case(rows: Iterable[Row]) -> list[dict[str, Row]]:
    """Return the rows of each case and objective, by way."""
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("model", "cluster", "modes", "mbit_per_s", "objective"))
        found.setdefault(key, {})[row["way"]] = row
    return list(found.values())


def energy_order(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return, for each pair and rate, in how many cases the first uses less energy.

    Parameters
    ----------
    rows
        Of all cases under the objective energy.
    """
    cases = by_case(rows)
    rates = sorted({one["single"]["mbit_per_s"] for one in cases})
    table = []
    for less, more in PAIRS:
        line: dict[str, Any] = {"expected": f"E({less}) < E({more})"}
        for rate in rates:
            ratios = _ratios(cases, less, more, rate)
            line[f"{rate}"] = f"{sum(r < 1 for r in ratios)} of {len(ratios)}" if ratios else "-"
            line[f"ratio_{rate}"] = median(ratios) if ratios else None
        table.append(line)
    return table


def _ratios(cases: Iterable[Mapping[str, Row]], less: str, more: str, rate: int) -> list[float]:
    return [
        one[less]["energy_j_per_sample"] / one[more]["energy_j_per_sample"]
        for one in cases
        if one[less]["fits"] and one[more]["fits"] and one[less]["mbit_per_s"] == rate
    ]


def what_fits(rows: Sequence[Row], size_of: Callable[[str], float]) -> list[dict[str, Any]]:
    """Return, for each cluster and model in order of size, what fits, or by how many gigabytes it does not.

    Parameters
    ----------
    rows
        Of all cases under one objective.
    size_of
        Bytes of weights, gradients and optimizer states of a model.
    """
    table: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["cluster"], row["model"]
        line = table.setdefault(key, {"cluster": key[0], "model": key[1], "whole_gb": size_of(key[1]) / 1e9})
        over = row.get("over_bytes")
        line[row["way"]] = "fits" if row["fits"] else "no" if over is None else f"+{over / 1e9:.2f} GB"
    return sorted(table.values(), key=lambda line: (line["cluster"], line["whole_gb"]))


def data_fails_first(fitting: Iterable[Row]) -> list[str]:
    """Return where data parallelism fits and a way that cuts the model does not.

    Parameters
    ----------
    fitting
        Rows of :func:`what_fits`.
    """
    return [
        f"{line['model']} on {line['cluster']}: data fits, {way} does not"
        for line in fitting
        for way in ("tensor", "pipeline", "hybrid")
        if line["data"] == "fits" and line[way] != "fits"
    ]


def bytes_decide(rows: Iterable[Row], most_mbit: int) -> tuple[int, int]:
    """Return in how many pairs of ways on slow links fewer bytes mean less energy, and of how many.

    Parameters
    ----------
    rows
        Of all cases under the objective energy.
    most_mbit
        Fastest link that counts as slow, Mbit/s.
    """
    agree = pairs = 0
    for one in by_case(rows):
        fit = [one[way] for way in COLLABORATIVE[:4] if one[way]["fits"]]
        for a, b in combinations(fit, 2):
            if a["mbit_per_s"] <= most_mbit and a["sent_bytes_per_sample"] != b["sent_bytes_per_sample"]:
                pairs += 1
                fewer = a["sent_bytes_per_sample"] < b["sent_bytes_per_sample"]
                agree += fewer == (a["energy_j_per_sample"] < b["energy_j_per_sample"])
    return agree, pairs


def check(rows: Sequence[Row], fitting: Sequence[Row], slow_mbit: int = 100) -> None:
    """Raise where an ordering that the README states does not hold.

    Parameters
    ----------
    rows
        Of all cases under the objective energy.
    fitting
        Rows of :func:`what_fits`.
    slow_mbit
        Fastest link that counts as slow, Mbit/s.

    Raises
    ------
    OrderingError
        With every case.
    """
    wrong = data_fails_first(fitting)
    for one in by_case(rows):
        for less, more in (pair for pair in PAIRS if pair != ("data", "tensor")):
            both = one[less]["fits"] and one[more]["fits"] and one[less]["mbit_per_s"] <= slow_mbit
            if both and one[less]["energy_j_per_sample"] >= one[more]["energy_j_per_sample"]:
                where = "{model} on {cluster} ({modes}), {mbit_per_s} Mbit/s".format(**one[less])
                wrong.append(f"{where}: {less} takes no less energy than {more}")
    if wrong:
        raise OrderingError("; ".join(wrong))


def against_single(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return how the least collaborative energy compares with the best single board alone.

    Parameters
    ----------
    rows
        Of all cases under the objective energy. Only boards that take part are counted.
    """
    found: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for one in by_case(rows):
        alone = one["single"]
        shared = [
            row for way, row in one.items() if way in COLLABORATIVE and row["fits"] and row["num_devices"] > 1
        ]
        if alone["fits"] and shared:
            best = min(shared, key=lambda row: row["participants_j_per_sample"])
            ratios = (
                best["participants_j_per_sample"] / alone["participants_j_per_sample"],
                best["time_s_per_sample"] / alone["time_s_per_sample"],
            )
            found.setdefault((alone["cluster"], alone["mbit_per_s"]), []).append(ratios)
    return [
        {
            "cluster": cluster,
            "mbit_per_s": rate,
            "cases": len(ratios),
            "energy_ratio": median(one[0] for one in ratios),
            "least": min(one[0] for one in ratios),
            "most": max(one[0] for one in ratios),
            "time_ratio": median(one[1] for one in ratios),
        }
        for (cluster, rate), ratios in sorted(found.items())
    ]
