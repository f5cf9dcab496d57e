"""``partage train``: all phases in one folder; each part can be replaced, and a broken call goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from models.errors import InputError
from solver.cli import app
from solver.lock import LOCK, FolderLock
from solver.phases.own_cluster import write_cluster
from tests.execution import plans

ROOT = Path(__file__).resolve().parents[2]
STEPS = "3"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("boards") / "two.yaml"
    write_cluster(path, plans.cluster("a", "b"))
    return path


def words(boards: Path, out: Path, *more: str) -> list[str]:
    """Everything a small training needs; a later word goes before an earlier one."""
    fixed = ["train", "--workload", "vit_digits", "--cluster", str(boards), "--out", str(out), "--json"]
    fixed += ["--batch", "8", "--micro-batches", "2", "--rule", "all", "--solver", "pipeline_even"]
    return [*fixed, "--work-limit", "50", "--checkpoint-every", "1", "--steps", STEPS, *more]


def trained(boards: Path, out: Path, *more: str) -> dict[str, Any]:
    """What ``--json`` prints: one document and nothing else."""
    done = process(words(boards, out, *more)).communicate(timeout=300)
    assert done[0], done[1]
    found: dict[str, Any] = json.loads(done[0])
    return found


def process(given: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from solver.cli import main; main()", *given]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes)


def killed_when(given: list[str], there: Callable[[], bool]) -> None:
    """Begin, and kill with signal 9 once something is there."""
    one = process(given)
    until = time.monotonic() + 240
    while not there():
        assert one.poll() is None, one.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(one.pid, signal.SIGKILL)
    one.communicate()


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: one["state"] for name, one in found["phases"].items()}


@pytest.fixture(scope="module")
def whole(boards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A training that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, trained(boards, out)


def test_every_phase_leaves_its_part(whole: tuple[Path, dict[str, Any]]) -> None:
    out, found = whole
    assert list(states(found).items()) == [
        (name, "made") for name in ("profile", "participants", "plan", "deploy", "train")
    ]
    parts = ["1_cluster.yaml", "2_participants.json", "3_plan.json", "4_deployment", "5_training"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*parts, "phases.json", "report.html"])
    train = found["phases"]["train"]["figures"]
    assert (train["elastic"], train["faults"], len(train["losses"])) == (True, [], 3)
    assert train["max_relative_loss_difference"] < 1e-5
    assert found["phases"]["plan"]["figures"]["backups"] == 2
    assert found["phases"]["deploy"]["figures"]["devices"]["a"]["backups"]
    assert Path(train["checkpoints"][0]["checkpoint"]).name == "step-00000003"


def test_the_page_tells_of_all_phases(whole: tuple[Path, dict[str, Any]]) -> None:
    page = (whole[0] / "report.html").read_text()
    for text in (
        "Rule all chooses a, b. Nobody is left out.",
        "What every device holds",
        "Every device stayed to the end.",
        "Loss of every step",
        "powers over the measured intervals",
    ):
        assert text in page, text


def test_a_second_call_keeps_everything(whole: tuple[Path, dict[str, Any]], boards: Path) -> None:
    out, first = whole
    again = trained(boards, out)
    assert set(states(again).values()) == {"kept"}
    assert again["phases"]["train"]["figures"] == first["phases"]["train"]["figures"]


def test_a_second_training_in_a_folder_at_work_is_refused(boards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with FolderLock(out, "training"):
        error = CliRunner().invoke(app, words(boards, out)).exception
        assert [path.name for path in out.iterdir()] == [LOCK]
    assert isinstance(error, InputError)
    assert f"another training (process {os.getpid()}) is writing into {out}" in str(error)


def test_its_page_is_made_anew(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    page, other = tmp_path / "run" / "report.html", tmp_path / "pages" / "page.html"
    page.unlink()
    for given in ([str(tmp_path / "run")], [str(tmp_path / "run" / "5_training")]):
        assert CliRunner().invoke(app, ["report", *given]).exit_code == 0
        text = page.read_text()
        for told in ("Rule all chooses a, b.", "What every device holds", "Loss of every step"):
            assert told in text, told
    assert CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--out", str(other)]).exit_code == 0
    assert 'href="../run/3_plan.json"' in other.read_text()
    assert 'href="3_plan.json"' in text


def test_a_page_tells_what_a_person_changed_and_what_is_not_whole(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole[0], run, ignore=shutil.ignore_patterns("training.json"))
    chosen = json.loads((run / "2_participants.json").read_text())
    (run / "2_participants.json").write_text(json.dumps(chosen | {"rule": "mine"}))
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    text = (run / "report.html").read_text()
    assert "Rule mine chooses a, b." in text and "yours: you gave or changed it" in text
    assert "Loss of every step" not in text
    (run / "3_plan.json").unlink()
    error = CliRunner().invoke(app, ["report", str(run)]).exception
    assert isinstance(error, InputError) and "3_plan.json: is not there yet" in str(error)


def test_a_page_of_something_else_needs_a_name(whole: tuple[Path, dict[str, Any]]) -> None:
    error = CliRunner().invoke(app, ["report", str(whole[0] / "3_plan.json")]).exception
    assert isinstance(error, InputError) and "--out: is missing" in str(error)


@pytest.mark.slow
def test_more_steps_go_on_from_the_last_checkpoint(
    whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    more = trained(boards, tmp_path / "run", "--steps", "4")
    assert states(more)["deploy"] == "kept" and states(more)["train"] == "made"
    figures = more["phases"]["train"]["figures"]
    assert figures["first_step"] == 3
    assert figures["losses"][:3] == whole[1]["phases"]["train"]["figures"]["losses"]
    assert len(figures["losses"]) == 4


def test_changed_participants_are_respected(
    whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    path = tmp_path / "run" / "2_participants.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chosen": ["b"]}))
    found = trained(boards, tmp_path / "run", "--until", "deploy")
    assert states(found) == {"profile": "kept", "participants": "yours", "plan": "made", "deploy": "made"}
    assert found["phases"]["plan"]["figures"]["devices"] == ["b"]


def test_a_damaged_deployment_is_made_again(
    whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    file = next((tmp_path / "run" / "4_deployment" / "a").glob("*.safetensors"))
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    found = trained(boards, tmp_path / "run")
    assert (states(found)["deploy"], states(found)["train"]) == ("made", "kept")
    assert file.read_bytes() == before


def test_other_words_are_refused(whole: tuple[Path, dict[str, Any]], boards: Path) -> None:
    error = (
        CliRunner().invoke(app, words(boards, whole[0], "--batch", "16", "--learning-rate", "1")).exception
    )
    assert isinstance(error, InputError)
    assert [fault.path for fault in error.faults] == ["--batch", "--batch", "--learning-rate"]


def test_a_plan_of_ones_own(whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = [
        "train",
        "--plan",
        str(whole[0] / "3_plan.json"),
        "--out",
        str(out),
        "--until",
        "deploy",
        "--json",
    ]
    shown = process(given).communicate(timeout=120)
    assert f"1_cluster.yaml is yours: it is the cluster that {whole[0] / '3_plan.json'} is for" in shown[1]
    assert "you put it there" not in shown[1]
    found = json.loads(shown[0])
    assert states(found) == {"profile": "yours", "plan": "yours", "deploy": "made"}
    wanted = whole[1]["phases"]["deploy"]["figures"]["devices"]
    assert found["phases"]["deploy"]["figures"]["devices"] == wanted


@pytest.mark.slow
def test_a_plan_for_another_cluster_or_workload_is_refused(
    whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path
) -> None:
    out, plan = tmp_path / "run", whole[0] / "3_plan.json"
    given = ["train", "--plan", str(plan), "--out", str(out), "--until", "plan"]
    more = ["--cluster", "four_boards", "--workload", "cnn_digits"]
    error = CliRunner().invoke(app, [*given, *more]).exception
    assert isinstance(error, InputError)
    told = {fault.path: fault.message for fault in error.faults}
    assert set(told) == {"--cluster", "--workload"}
    assert f"--plan {plan} is for ./1_cluster.yaml" in told["--cluster"]
    assert "given is four_boards" in told["--cluster"]
    assert "is for vit_digits" in told["--workload"]
    assert not list(out.glob("[0-9]*"))
    same = CliRunner().invoke(app, [*given, "--cluster", str(boards)])
    assert same.exit_code == 0, same.output


def test_killed_while_placing_and_while_training(
    whole: tuple[Path, dict[str, Any]], boards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    given = words(boards, out)
    killed_when(given, lambda: bool(list(out.glob(".partial-*/*"))))
    assert not (out / "4_deployment").exists()
    checkpoint = out / "5_training" / "checkpoints" / "step-00000001" / "checkpoint.json"
    killed_when(given, checkpoint.exists)
    assert not (out / "5_training" / "training.json").exists()
    found = trained(boards, out)
    assert states(found)["deploy"] == "kept"
    figures = found["phases"]["train"]["figures"]
    assert figures["first_step"] >= 1
    assert figures["losses"] == pytest.approx(whole[1]["phases"]["train"]["figures"]["losses"], rel=1e-6)
    assert not list(out.glob(".partial-*"))


@pytest.mark.slow
def test_a_board_that_dies_is_told_and_training_goes_on(boards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    one = process(words(boards, out, "--steps", "8"))
    until = time.monotonic() + 240
    while not (out / "5_training" / "checkpoints" / "step-00000002" / "checkpoint.json").exists():
        assert one.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    family = psutil.Process(one.pid).children(recursive=True)
    workers = [child for child in family if child.ppid() != one.pid]
    assert len(workers) == 2
    workers[1].kill()
    figures = json.loads(one.communicate(timeout=300)[0])["phases"]["train"]["figures"]
    assert [event["kind"] for change in figures["faults"] for event in change["events"]] == ["lost"]
    assert len(figures["losses"]) == 8
    assert figures["max_relative_loss_difference"] < 1e-5
    page = (out / "report.html").read_text()
    assert "its process was killed by signal 9" in page and "Loss of every step" in page


def test_participants_of_ones_own(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """They say what is not said: workload, cluster and job."""
    given = ["train", "--participants", str(whole[0] / "2_participants.json"), "--out", str(tmp_path / "run")]
    given += ["--until", "plan", "--solver", "pipeline_even", "--work-limit", "50", "--json"]
    found = json.loads(process(given).communicate(timeout=120)[0])
    assert states(found) == {"profile": "made", "participants": "yours", "plan": "made"}
    wanted = whole[1]["phases"]["plan"]["figures"]
    assert found["phases"]["plan"]["figures"]["step_time_s"] == wanted["step_time_s"]


def workload_without_net(folder: Path) -> Path:
    blocks = [{"name": name, "forward_flop": 1e9, "weight_bytes": 4000, "output_bytes": 8} for name in "xy"]
    path = folder / "bare.json"
    path.write_text(json.dumps({"name": "bare", "blocks": blocks, "edges": [{"source": "x", "target": "y"}]}))
    return path


def test_what_cannot_be_trained_is_refused_before_anything(boards: Path, tmp_path: Path) -> None:
    given = words(boards, tmp_path / "run", "--workload", str(workload_without_net(tmp_path)))
    error = CliRunner().invoke(app, given).exception
    assert isinstance(error, InputError)
    assert "vit_digits" in str(error) and "--until deploy" in str(error)
    assert not (tmp_path / "run").exists()


def test_its_phases_up_to_deploy_can_be_done(boards: Path, tmp_path: Path) -> None:
    given = ["--workload", str(workload_without_net(tmp_path)), "--until", "deploy"]
    found = trained(boards, tmp_path / "run", *given)
    figures = found["phases"]["deploy"]["figures"]
    assert figures["net"] is None
    assert sum(place["weight_bytes"] for place in figures["devices"].values()) == 8000


def test_no_plan_is_an_answer(boards: Path, tmp_path: Path) -> None:
    one = process(words(boards, tmp_path / "run", "--deadline", "1e-6"))
    text, _ = one.communicate(timeout=120)
    found = json.loads(text)
    assert one.returncode == 1
    assert "keeps every limit" in found["refused"] and list(found["phases"]) == ["profile"]


def test_all_words_that_cannot_be_are_told(boards: Path, tmp_path: Path) -> None:
    given = words(boards, tmp_path, "--until", "end", "--only", "plan", "--mode", "slow", "--policy", "none")
    error = CliRunner().invoke(app, given).exception
    assert isinstance(error, InputError)
    assert [fault.path for fault in error.faults] == ["--until", "--only", "--policy", "--mode"]


def test_the_faults_of_all_words_are_told_at_once(boards: Path, tmp_path: Path) -> None:
    wrong = ["--only", "plann", "--mode", "foo", "--policy", "bar", "--respawn", "-3", "--dilation", "-1"]
    wrong += ["--learning-rate", "-1", "--rule", "luck", "--objective", "enrgy", "--optimizer", "foo"]
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(app, words(boards, tmp_path / "run", *wrong), catch_exceptions=False)
    places = ["--only", "--policy", "--respawn", "--mode", "--dilation", "--learning-rate", "rule"]
    assert [fault.path for fault in caught.value.faults] == [*places, "job.optimizer", "objective"]
    assert not (tmp_path / "run").exists()


def test_choosing_participants_ends_when_time_is_up(boards: Path, tmp_path: Path):
    given = ["train", "--workload", "vit_digits", "--cluster", str(boards), "--out", str(tmp_path / "run")]
    found = CliRunner().invoke(app, [*given, "--batch", "8", "--until", "plan", "--time-limit", "0"])
    assert found.exit_code == 1
    assert "or none was found within 0 s" in found.output + str(found.exception)
