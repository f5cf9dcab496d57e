"""The same workers under torch's launcher: on the loopback interface, and between two network namespaces."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from solver.execution import torchrun
from solver.execution.state.checkpoint import all_of
from solver.loading import load
from solver.phases.deploy import deploy
from solver.plan import Plan
from tests.execution import plans

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def write_plan(folder: Path, plan: Plan, *devices: str) -> Path:
    """Write a plan and its cluster; return the plan's file."""
    folder.mkdir(exist_ok=True)
    (folder / "test.json").write_text(plans.cluster(*devices).model_dump_json())
    data = plan.model_dump(mode="json", exclude_defaults=True)
    (folder / "plan.json").write_text(json.dumps({**data, "cluster": {"name": "./test.json"}}))
    return folder / "plan.json"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(
    words: Sequence[object], environment: dict[str, str], prefix: Sequence[str] = ()
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        env=os.environ | QUIET | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes(each: Sequence[Sequence[object]], size: int | None = None) -> list[tuple[int, str, str]]:
    """Run one process per list of words as a launcher would; return exit code, output and errors of each."""
    port = free_port()
    started = []
    for rank, words in enumerate(each):
        environment = {"RANK": str(rank), "WORLD_SIZE": str(size or len(each))}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(start(["solver.execution.torchrun", *words], environment))
    ended = [process.communicate(timeout=120) for process in started]
    return [(process.returncode, *texts) for process, texts in zip(started, ended, strict=True)]


@pytest.mark.slow
def test_two_agents_of_two_processes_train_a_hybrid_plan_and_go_on_by_another(tmp_path: Path) -> None:
    first = write_plan(tmp_path / "four", plans.hybrid_plan(), "a", "b", "c", "d")
    port = free_port()
    words = ["torch.distributed.run", "--nnodes", 2, "--nproc-per-node", 2, "--rdzv-backend", "c10d"]
    words += ["--rdzv-endpoint", f"127.0.0.1:{port}", "-m", "solver.execution.torchrun", first, "--steps", 2]
    words += ["--out", tmp_path / "run", "--checkpoint-every", 2]
    agents = [start(words, {}) for _ in range(2)]
    texts = [agent.communicate(timeout=180) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], texts
    found = json.loads(texts[0][0] or texts[1][0])
    assert found["max_relative_weight_difference"] <= 1e-6
    assert found["traffic_bytes"]["predicted"] == found["traffic_bytes"]["measured"]
    assert json.loads((tmp_path / "run" / "trace.json").read_text())["mode"] == "raw"
    assert [path.name for path in all_of(tmp_path / "run")] == ["step-00000002"]
    second = write_plan(tmp_path / "two", plans.data_plan(), "a", "b")
    both = [[second, "--steps", 4], [second, "--steps", 4]]
    both[0] += ["--resume-from", tmp_path / "run"]
    (code, out, errors), (other, _, _) = processes(both)
    assert (code, other) == (0, 0), errors
    assert json.loads(out)["first_step"] == 2
    assert json.loads(out)["max_relative_weight_difference"] <= 1e-5


def test_without_a_launcher_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    assert torchrun.main([str(path)]) == 2
    assert "RANK" in capsys.readouterr().err


def test_every_process_says_who_differs_in_what(tmp_path: Path) -> None:
    first = write_plan(tmp_path / "first", plans.chain_plan(), "a", "b")
    second = write_plan(tmp_path / "second", plans.chain_plan(optimizer="adamw"), "a", "b")
    for code, out, errors in processes([[first, "--steps", 3], [second, "--steps", 4]]):
        assert code == 2, errors
        assert out == ""
        assert "process 1 on" in errors
        assert "its plan is" in errors
        assert "its --steps is 4, that of process 0" in errors
        assert "its workload" not in errors


@pytest.mark.parametrize("size", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_number_of_processes_is_that_of_the_devices(size: int, tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    for code, _, errors in processes([[path]] * size):
        assert code == 2, errors
        assert f"the plan uses 2 devices, torchrun started {size} processes" in errors


def test_input_that_is_wrong_at_one_process_is_told_by_all_of_them(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    wrong = [
        path,
        "--steps",
        0,
        "--limit",
        -1,
        "--learning-rate",
        "nan",
        "--seed",
        -3,
        "--checkpoint-every",
        2,
    ]
    for code, _, errors in processes([[path], wrong]):
        assert code == 2, errors
        for word in (
            "steps: at least 1",
            "--limit",
            "learning_rate",
            "--seed",
            "checkpoint_every: there is no",
        ):
            assert word in errors


def test_missing_checkpoint_is_told_by_all(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    for code, _, errors in processes([[path, "--resume-from", tmp_path], [path]]):
        assert code == 2, errors
        assert "holds no whole checkpoint" in errors


def deployments(folder: Path, path: Path) -> list[Path]:
    """A deployment, on two machines of which each has its own part only."""
    whole = deploy(load(path), folder / "whole", seed=5).folder
    found = []
    for own, other in (("a", "b"), ("b", "a")):
        shutil.copytree(whole, folder / own)
        shutil.rmtree(folder / own / other)
        found.append(folder / own)
    return found


def test_a_deployment_is_begun_with_where_each_machine_has_its_part(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    words = [[path, "--steps", 2, "--deployment", place] for place in deployments(tmp_path, path)]
    (code, out, errors), (other, _, _) = processes(words)
    assert (code, other) == (0, 0), errors
    found = json.loads(out)
    assert (found["seed"], found["steps"]) == (5, 2)
    assert found["max_relative_weight_difference"] <= 1e-6


def test_a_deployment_that_differs_or_is_damaged_is_told_by_all(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    first, second = deployments(tmp_path, path)
    for code, _, errors in processes([[path, "--deployment", first], [path]]):
        assert code == 2, errors
        assert "its --deployment is none" in errors
    next(second.glob("b/*.safetensors")).write_bytes(b"no weights")
    for code, _, errors in processes([[path, "--deployment", first], [path, "--deployment", second]]):
        assert code == 2, errors
        assert "process 1 on" in errors
        assert "is damaged" in errors


def test_process_that_does_not_come_is_named_in_time(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    ((code, _, errors),) = processes([[path, "--limit", 3]], size=2)
    assert code == 3, errors
    assert "not all processes met" in errors


def test_port_in_use_is_said(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.plan([plans.pipeline(1, 2, (plans.VIT, {"a": 2}))]), "a")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        process = start(["solver.execution.torchrun", path, "--limit", 5], environment)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 2, errors
    assert f"port {port} is in use" in errors


@pytest.fixture
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a link of 100 Mbit/s between them; needs root."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    names = f"partage-{os.getpid()}-a", f"partage-{os.getpid()}-b"
    commands = [f"ip netns add {name}" for name in names]
    commands.append(f"ip -n {names[0]} link add wire type veth peer name wire netns {names[1]}")
    for number, name in enumerate(names, 1):
        commands += [
            f"ip -n {name} addr add 10.77.0.{number}/24 dev wire",
            f"ip -n {name} link set wire up",
            f"ip -n {name} link set lo up",
            f"tc -n {name} qdisc add dev wire root tbf rate 100mbit burst 64kb latency 400ms",
        ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"{command}: {done.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.lab
def test_two_network_namespaces(two_hosts: tuple[str, str], tmp_path: Path) -> None:
    path = write_plan(tmp_path, plans.chain_plan(), "a", "b")
    agents = []
    for node, name in enumerate(two_hosts):
        words = ["torch.distributed.run", "--nnodes", 2, "--node-rank", node, "--nproc-per-node", 1]
        words += ["--master-addr", "10.77.0.1", "--master-port", 29611]
        words += ["-m", "solver.execution.torchrun", path, "--steps", 2]
        agents.append(start(words, {"GLOO_SOCKET_IFNAME": "wire"}, ["ip", "netns", "exec", name]))
    texts = [agent.communicate(timeout=180) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], texts
    found = json.loads(texts[0][0])
    assert found["max_relative_weight_difference"] <= 1e-6
    assert found["traffic_bytes"]["predicted"] == found["traffic_bytes"]["measured"] > 0
