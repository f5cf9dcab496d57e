"""``partage profile``: a card that ``partage plan`` reads, and what is refused."""

import json
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from models import catalog
from models.errors import InputError
from solver import api
from solver.cli import app

QUICK = ("--net", "imu_motions", "--sizes", "1,2", "--rounds", "1", "--on", "cpu")


def profile(*words):
    return CliRunner().invoke(app, ["profile", *map(str, words)])


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    log, out = folder / "power.log", folder / "board.yaml"
    now = int(time.time())
    lines = [f"{now + tenth / 10:.1f} RAM 1/2MB VDD_IN 4000mW/4000mW" for tenth in range(-50, 6000)]
    log.write_text("\n".join(lines), encoding="utf-8")
    found = profile(
        *QUICK,
        "--device-name",
        "board",
        "--out",
        out,
        "--power-log",
        log,
        "--idle",
        "0.5",
        "--busy",
        "0.5",
        "--like",
        "jetson_nano",
    )
    assert found.exit_code == 0, found.output + str(found.exception)
    return out


def test_the_planner_reads_the_card(card, tmp_path):
    boards = {
        "name": "two",
        "devices": [{"name": "one", "card": card.name}, {"name": "two", "card": card.name}],
        "segments": [{"name": "net", "members": ["one", "two"], "bandwidth_bytes_per_s": 1e8}],
    }
    place = card.parent / "two.yaml"
    place.write_text(yaml.safe_dump(boards), encoding="utf-8")
    cluster, work = catalog.cluster(str(place)), catalog.workload("imu_motions")
    times = cluster.by_name["one"].times(work)
    assert set(times) == set(work.by_name)
    assert all(time.samples == (1, 2) for time in times.values())
    problem = api.problem("imu_motions", str(place), batch=4)
    name = work.order[0]
    expected = times[name].forward_s[1]
    assert problem.costs.time_s(name, cluster.by_name["one"], 2)[0] == pytest.approx(expected)
    report = api.plan(problem, "data_parallel").report
    assert report.energy_is == "measured"
    assert report.to_json()["energy_by_device_is"] == {"one": "measured", "two": "measured"}


def test_power_comes_from_the_log_and_the_rest_from_a_card(card):
    words = yaml.safe_load(card.read_text(encoding="utf-8"))
    assert words["idle_w"] == {"value": 4.0, "measured": "mean of the power log while nothing ran"}
    assert words["radio_w"]["estimate"].startswith("no Wi-Fi on the board")


def test_without_a_log_energy_is_modelled():
    found = profile(*QUICK, "--json")
    assert found.exit_code == 0
    data = json.loads(found.stdout)
    assert data["card"]["idle_w"]["estimate"].startswith("not measured")
    assert set(data["times"]) == {"1", "2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of --net, --listen and --peer"),
        (("--net", "imu_motions", "--listen", "1"), "give one of --net, --listen and --peer"),
        (("--net", "imu_motions", "--sizes", "4,2"), "increasing whole numbers"),
        (("--net", "imu_motion"), "no net is called 'imu_motion'; nearest: imu_motions"),
        (("--net", "imu_motions", "--on", "tpu"), "must be auto, cpu or cuda"),
        (("--peer", "somewhere"), "must be HOST:PORT"),
        (("--peer", "127.0.0.1:99999"), "127.0.0.1:99999 does not answer"),
        (("--listen", "99999"), "port 99999 cannot be used"),
    ],
)
def test_what_is_refused(words, message):
    found = profile(*words)
    assert isinstance(found.exception, InputError)
    assert message in str(found.exception)


def test_a_log_of_another_time_is_said(tmp_path):
    log = tmp_path / "power.log"
    log.write_text("1692109325 VDD_IN 4000mW/4000mW\n", encoding="utf-8")
    found = profile(*QUICK, "--power-log", log, "--idle", "0.1", "--busy", "0.1")
    assert "s of rest; let the log run from before until after, or give more --idle" in str(found.exception)
    assert "s of steady work; let the log run" in str(found.exception)


def test_a_log_that_is_not_there_is_said_before_anything_is_timed(tmp_path):
    found = profile(*QUICK, "--power-log", tmp_path / "none.log")
    assert "--power-log" in str(found.exception)
    assert "idle" not in found.output
