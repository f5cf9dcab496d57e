"""Accounts: grams CO2e, batteries and bytes to devices of less trust, worked out by hand."""

from __future__ import annotations

import math

import pytest

from models.errors import InputError
from solver.accounts import Accounts, make_accounts
from solver.report import Report
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=5), block("b", 1, 2))
BOARDS = cluster(
    device("x", idle_w=1, busy_w=4, trust=2, carbon_g_per_kwh=360_000, battery_j=100),
    device("y", idle_w=2, busy_w=2, trust=1, carbon_g_per_kwh=0),
    device("z", idle_w=3, busy_w=3, sleep_w=1, trust=2, battery_j=1000),
)


def split(**more: object) -> Report:
    """x  F 0-1, sends 5 bytes 1-6, B 14-16; y  F 6-7, B 7-9, sends 5 bytes 9-14: a step of 16 s."""
    return score(plan(pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})), **more), TINY, BOARDS)


def test_grams_are_joules_times_the_intensity_of_the_supply():
    """x idles 16 s at 1 W and computes 3 s at 3 W more: 25 J, at 360 kg a kWh = 0.1 g a J."""
    accounts = split().accounts
    assert accounts.carbon_g == pytest.approx({"x": 2.5, "y": 0})
    assert accounts.total_carbon_g == pytest.approx(2.5)
    assert accounts.num_unknown == 1


def test_a_battery_lasts_for_whole_steps():
    """x takes 25 J of 100 J a step: 4 steps of 16 s. z idles, 48 J a step: 20 whole steps."""
    batteries = split().accounts.batteries
    assert (batteries["x"].step_j, batteries["x"].num_steps, batteries["x"].lasts_s) == (25, 4, 64)
    assert (batteries["z"].step_j, batteries["z"].num_steps) == (48, 20)
    assert split().accounts.first_empty == "x"


@pytest.mark.parametrize(("left_out", "step_j", "steps"), [("sleep", 16, 62), ("off", 0, math.inf)])
def test_a_left_out_battery_is_emptied_as_the_plan_says(left_out: str, step_j: float, steps: float):
    battery = split(left_out=left_out).accounts.batteries["z"]
    assert (battery.step_j, battery.num_steps) == (step_j, steps)


def test_bytes_to_less_trusted_devices_by_pair():
    """Activations go from 2 down to 1, gradients up."""
    report = split()
    assert report.accounts.untrusted == {("x", "y"): 5}
    assert report.untrusted_bytes == 5
    assert report.accounts.trust == {"x": 2, "y": 1, "z": 2}


def test_json_says_what_there_is():
    found = split(left_out="off").to_json()
    assert found["carbon_g"] == pytest.approx(2.5)
    assert found["devices_without_carbon"] == 1
    assert found["batteries"]["x"] == {"battery_j": 100, "step_j": 25, "num_steps": 4, "lasts_s": 64}
    assert found["batteries"]["z"] == {"battery_j": 1000, "step_j": 0, "num_steps": None, "lasts_s": None}
    assert found["untrusted_by_link_bytes"] == {"x->y": 5}


def test_a_cluster_without_the_words_has_no_accounts():
    report = score(plan(pipeline(1, 1, stage("a b", {"x": 1}))), TINY, cluster("x", "y"))
    assert report.accounts == Accounts()
    words = {"carbon_g", "batteries", "trust", "untrusted_by_link_bytes"}
    assert not words & report.to_json().keys()


def test_a_round_is_counted_by_its_steps():
    """Energy is handed over by the step; so are grams and batteries."""
    accounts = make_accounts(BOARDS, {"x": 10, "y": 0, "z": 0}, 2.0, {})
    assert accounts.batteries["x"].num_steps == 10
    assert accounts.batteries["x"].lasts_s == 20


def test_an_empty_battery_is_a_fault():
    with pytest.raises(InputError, match=r"battery_j.*more than 0 J"):
        cluster(device("x", battery_j=0))
