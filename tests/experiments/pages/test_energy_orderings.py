"""The orderings of the energy case, on rows written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.cases.ways import WAYS, Boards, cluster_of, conventional, figures, whole_bytes
from experiments.pages import energy_orderings as orderings
from solver import api

WORDS = ("single", "data", "sequence", "tensor", "pipeline", "hybrid")


def rows(mbit: int = 10, **energy: float | None) -> list[dict[str, Any]]:
    """Rows of one case; `None` does not fit. Bytes are ten times the energy."""
    where = {"model": "m", "cluster": "c", "modes": "own", "mbit_per_s": mbit, "objective": "energy"}
    found = []
    for way in WORDS:
        joules = energy.get(way, 1.0)
        row: dict[str, Any] = {**where, "way": way, "fits": joules is not None}
        if joules is not None:
            costs = {"energy_j_per_sample": joules, "participants_j_per_sample": joules / 2}
            row |= {**costs, "time_s_per_sample": 1.0, "num_devices": 1 if way == "single" else 4}
            row["sent_bytes_per_sample"] = 10 * joules
        found.append(row)
    return found


def test_orderings_are_counted_where_both_fit() -> None:
    table = orderings.energy_order(
        [*rows(10, data=2.0, sequence=4.0), *rows(100, data=None), *rows(100, data=3.0, sequence=2.0)]
    )
    line = next(one for one in table if one["expected"] == "E(data) < E(sequence)")
    assert (line["10"], line["ratio_10"], line["100"], line["ratio_100"]) == ("1 of 1", 0.5, "0 of 1", 1.5)


def test_fewer_bytes_and_less_energy_are_counted_on_slow_links() -> None:
    """Four ways of 1, 2, 3 and 4 J: six pairs; one way's bytes moved above all others breaks its three."""
    case = rows(10, data=1.0, sequence=2.0, tensor=3.0, pipeline=4.0)
    assert orderings.bytes_decide(case, 100) == (6, 6)
    next(row for row in case if row["way"] == "data")["sent_bytes_per_sample"] = 99
    assert orderings.bytes_decide(case, 100) == (3, 6)
    assert orderings.bytes_decide(rows(1000), 100) == (0, 0)


def test_an_ordering_that_does_not_hold_ends_the_experiment() -> None:
    good = rows(10, data=1.0, sequence=3.0, tensor=3.0, pipeline=1.0)
    orderings.check(good, [])
    with pytest.raises(orderings.OrderingError, match="pipeline takes no less energy than tensor"):
        orderings.check(rows(10, sequence=3.0, tensor=1.0, pipeline=2.0), [])
    orderings.check(rows(1000, sequence=3.0, tensor=1.0, pipeline=2.0), [])
    fitting = orderings.what_fits(rows(10, tensor=None), lambda model: 2e9)
    with pytest.raises(orderings.OrderingError, match="m on c: data fits, tensor does not"):
        orderings.check(good, fitting)


def test_what_does_not_fit_says_by_how_much() -> None:
    made = rows(10, data=None, hybrid=None)
    next(row for row in made if row["way"] == "data")["over_bytes"] = 1_250_000_000
    (line,) = orderings.what_fits(made, lambda model: 2e9)
    assert (line["data"], line["hybrid"], line["tensor"], line["whole_gb"]) == ("+1.25 GB", "no", "fits", 2.0)


def test_one_board_is_compared_without_the_others_idle_power() -> None:
    (line,) = orderings.against_single(rows(10, single=4.0, data=3.0, hybrid=2.5, pipeline=5.0))
    assert (line["cases"], line["energy_ratio"]) == (1, 0.25)  # 1 / 2 of sequence and tensor against 4 / 2


def test_the_lowest_mode_is_that_of_least_power() -> None:
    low = cluster_of(Boards("nano_x4", "lowest"), 30)
    own = cluster_of(Boards("nano_x4"), 30)
    assert [d.busy_w.value for d in low.devices] == [4.8] * 4
    assert [d.busy_w.value for d in own.devices] == [6.8] * 4
    assert low.link("nano0", "nano1").bytes_per_s == 30e6 / 8


def test_conventional_ways_use_every_board() -> None:
    problem = api.problem("vit_digits", "four_boards", batch=16)
    for way in WAYS:
        answer = conventional(problem, way)
        assert answer.report is not None
        assert len(answer.report.utilisation) == (1 if way == "single" else 4)
        row = figures(problem, way, answer)
        parts = sum(row[f"{part}_j_per_sample"] for part in ("idle", "compute", "radio"))
        assert parts == pytest.approx(row["energy_j_per_sample"])


def test_a_way_that_does_not_fit_says_by_how_many_bytes() -> None:
    problem = api.problem("t5_base", "nano_x4", batch=16, optimizer="adamw")
    answer = conventional(problem, "data")
    row = figures(problem, "data", answer)
    assert answer.plan is None and not row["fits"]
    assert row["over_bytes"] == row["peak_bytes"] - row["limit_bytes"] > 0
    assert row["peak_bytes"] > whole_bytes("t5_base")
