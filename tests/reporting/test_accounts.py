"""Accounts in words: shown where the cluster gives them, and nowhere else."""

from __future__ import annotations

import io

from rich.console import Console

from solver.report import Report
from solver.reporting import units
from solver.reporting.accounts import account_columns, account_figures, account_sums
from solver.reporting.tables import comparison_table
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=5), block("b", 1, 2))


def alone(name: str) -> Report:
    """A step of 6 s: x takes 30 J (3 g) of its 3000 J, y nothing but idles at 0 W."""
    boards = cluster(
        device("x", idle_w=2, busy_w=5, trust=1, carbon_g_per_kwh=360_000, battery_j=3000), device("y")
    )
    return score(plan(pipeline(1, 1, stage("a b", {name: 1}))), TINY, boards)


def test_figures() -> None:
    found = {name: (figure, note) for name, figure, note in account_figures(alone("x"))}
    assert found["CO2e of a step"][0] == "3.00 g"
    assert "not known of 1 device" in found["CO2e of a step"][1]
    assert found["Battery life"] == ("10.0 min", "x is empty first, after 100 steps")
    assert found["To less trusted devices"] == ("0 B", "no bytes")


def test_columns_have_a_figure_for_who_has_one() -> None:
    assert account_columns(alone("x")) == {
        "CO2e": {"x": "3.00 g"},
        "battery": {"x": "10.0 min, 100 steps"},
        "trust": {"x": "1", "y": "0"},
    }


def test_nothing_is_shown_where_the_cluster_gives_nothing() -> None:
    report = score(plan(pipeline(1, 1, stage("a b", {"x": 1}))), TINY, cluster("x", "y"))
    assert account_figures(report) == () and account_columns(report) == {} and account_sums(report) == {}


def test_plans_side_by_side() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(comparison_table({"first": alone("x"), "second": alone("y")}))
    lines = {line[2:20].strip(): line for line in console.export_text().splitlines()}
    assert "3.00 g" in lines["CO2e (modelled)"] and "1.20 g" in lines["CO2e (modelled)"]
    assert "0.40×" in lines["CO2e (modelled)"]
    assert "25.0 min" in lines["battery life"] and "2.50×" in lines["battery life"]


def test_long_times_are_told_in_minutes_hours_and_days() -> None:
    told = [units.span(value) for value in (59, 119, 120, 7200, 172_800)]
    assert told == ["59.0 s", "119 s", "2.00 min", "2.00 h", "2.00 days"]
