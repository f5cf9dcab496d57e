"""Sweeps: resumed, retried, on every back end; nothing runs on after an interruption or a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.errors import InputError
from solver.bench.ledger import RUNS, read_lines
from solver.bench.sweep import sweep
from tests.bench.benches import TOY, asked, instances, solver_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    instances(tmp_path)
    return tmp_path


def figures(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["case"], one["solver"], one["seed"], one["status"], one["score"]) for one in lines)


def test_every_case_solver_and_seed_is_run_once_and_never_again(folder: Path) -> None:
    count = f"open({str(folder / 'count')!r}, 'a').write('x')\nreturn Outcome(Space(), plan=plan_of(problem))"
    what = asked(folder, "single", solver_file(folder, "counts", count), num_seeds=2, select=("*=1",))
    seen: list[tuple[int, int]] = []
    first = sweep(
        what,
        folder / "out",
        backend="sequential",
        progress=lambda text, done, total: seen.append((done, total)),
    )
    assert len(first) == 4 and seen[-4:] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (folder / "count").read_text() == "xx"
    before = (folder / "out" / RUNS).read_bytes()
    assert figures(sweep(what, folder / "out", backend="sequential")) == figures(first)
    assert (folder / "out" / RUNS).read_bytes() == before
    wider = asked(folder, "single", num_seeds=2)  # more cases, fewer solvers: what is there stays
    assert len(sweep(wider, folder / "out", jobs=2)) == 6
    files = sorted(path.name for path in (folder / "out" / "solutions").iterdir())
    assert files[0] == "layer-small-chain-micro_batches=1__counts__0.json" and len(files) == 6
    solution = json.loads((folder / "out" / "solutions" / files[2]).read_text())
    assert solution["instance"] == "layer/small" and solution["objective"] == pytest.approx(4000.0)


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_back_ends_give_the_same_answers(folder: Path, backend: str) -> None:
    if backend == "dask":
        pytest.importorskip("distributed")
    found = figures(sweep(asked(folder, "single"), folder / "out", jobs=2, backend=backend))
    case = "layer/small:chain:micro_batches={}"
    assert found == [(case.format(m), "single", 0, "OPTIMAL", pytest.approx(4.0)) for m in (1, 2)]


@pytest.mark.slow
def test_a_dask_scheduler_can_be_anywhere(folder: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        lines = sweep(
            asked(folder, "single"), folder / "out", backend="dask", scheduler=cluster.scheduler_address
        )
    assert [line["status"] for line in lines] == ["OPTIMAL", "OPTIMAL"]


def test_failed_runs_are_done_again_only_if_asked(folder: Path) -> None:
    body = f"""
    if not os.path.exists({str(folder / "mended")!r}):
        raise RuntimeError('not yet')
    return Outcome(Space(), plan=plan_of(problem))
    """
    what = asked(folder, solver_file(folder, "mends", body), select=("*=1",))
    (line,) = sweep(what, folder / "out", backend="sequential")
    assert line["status"] == "FAILED" and "not yet" in line["reason"]
    assert "RuntimeError: not yet" in next((folder / "out" / "logs").iterdir()).read_text()
    (folder / "mended").touch()
    (line,) = sweep(what, folder / "out", backend="sequential")
    assert line["status"] == "FAILED"
    (line,) = sweep(what, folder / "out", backend="sequential", retry_failed=True)
    assert line["status"] == "FEASIBLE"
    assert [one["status"] for one in read_lines(folder / "out")] == ["FAILED", "FEASIBLE"]


def test_a_changed_instance_or_solver_is_not_mixed_with_old_runs(folder: Path) -> None:
    ref = solver_file(folder, "mine", "return Outcome(Space(), plan=plan_of(problem))")
    what = asked(folder, "single", ref, select=("*=1",))
    sweep(what, folder / "out", backend="sequential")
    instances(folder, small={"speeds": [1.0, 3.0]})
    with pytest.raises(InputError, match="the instance of layer/small:chain:micro_batches=1 has changed"):
        sweep(what, folder / "out", backend="sequential")
    instances(folder)
    solver_file(folder, "mine", "return Outcome(Space())")
    with pytest.raises(InputError, match="the file of solver mine has changed"):
        sweep(what, folder / "out", backend="sequential")


def test_another_limit_is_another_bench(folder: Path) -> None:
    sweep(asked(folder, "single", select=("*=1",)), folder / "out", backend="sequential")
    with pytest.raises(InputError, match=r"time_limit_s: .* was made with 5\.0, not 7\.0"):
        sweep(asked(folder, "single", time_limit_s=7.0), folder / "out", backend="sequential")


def test_damaged_instances_stop_everything_before_the_folder_is_made(folder: Path) -> None:
    instances(folder, good={}, damaged={"num_blocks": 0})
    with pytest.raises(InputError, match=r"layer/damaged.*num_blocks: 0"):
        sweep(asked(folder, "single"), folder / "out")
    assert not (folder / "out").exists()


def test_wrong_jobs_back_end_and_scheduler_are_all_listed(folder: Path) -> None:
    with pytest.raises(InputError) as error:
        sweep(asked(folder, "single"), folder / "out", jobs=0, backend="spark", scheduler="tcp://x")
    assert [fault.path for fault in error.value.faults] == ["--jobs", "--backend", "--scheduler"]
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="no dask scheduler answers at nonsense"):
        sweep(asked(folder, "single"), folder / "out", backend="dask", scheduler="nonsense://x")


def test_under_a_work_limit_the_number_of_jobs_changes_no_plan(folder: Path) -> None:
    body = """
    while True:
        search.tick()
        where = problem.usable[int(search.rng.integers(len(problem.usable)))]
        stages = chain_stages(problem, [0, len(problem.workload.order)], [where], problem.job.batch)
        search.offer(pipeline_plan(problem, stages, 1))
    """
    what = asked(folder, solver_file(folder, "draws", body), work_limit=3, num_seeds=2, select=("*=1",))
    plans = []
    for jobs in (1, 2):
        out = folder / f"out{jobs}"
        lines = sweep(what, out, jobs=jobs, backend="sequential" if jobs == 1 else "loky")
        assert {line["stopped_by"] for line in lines} <= {"work limit", None}
        plans.append({path.name: path.read_bytes() for path in (out / "solutions").iterdir()})
    assert plans[0] == plans[1]


SLEEPS = """
child = subprocess.Popen(['sleep', '600'], start_new_session=True)
with open({pids!r}, 'a') as stream:
    stream.write(f'{{os.getpid()}} {{child.pid}}\\n')
time.sleep(600)
"""


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A bench of the command line whose second solver sleeps; wait until it does."""
    ref = solver_file(folder, "sleeps", SLEEPS.format(pids=str(folder / "pids")))
    command = [sys.executable, "-c", "from solver.cli import main; main()", "bench", "--suite", str(TOY)]
    command += ["--instances", str(folder / "instances"), "--solvers", f"single,{ref}", "--select", "*=1"]
    command += ["--time-limit", "300", "--out", str(folder / "out"), *words]
    bench = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE)
    _until(lambda: (folder / "pids").exists() and (folder / "pids").read_text().endswith("\n"))
    return bench


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def _all_gone(folder: Path) -> bool:
    return not any(psutil.pid_exists(int(pid)) for pid in (folder / "pids").read_text().split())


@pytest.mark.parametrize("backend", ["sequential", "loky"])
def test_an_interrupted_bench_keeps_what_is_done_and_leaves_no_process(folder: Path, backend: str) -> None:
    with start(folder, "--backend", backend) as bench:
        os.killpg(bench.pid, signal.SIGINT)  # as a terminal does: to the whole group
        try:
            _, told = bench.communicate(timeout=60)
        finally:
            bench.kill()
    assert bench.returncode == 130 and "the same command goes on from there" in told.decode()
    _until(lambda: _all_gone(folder))
    assert [line["solver"] for line in read_lines(folder / "out")] == ["single"]
    assert json.loads((folder / "out" / "summary.json").read_text())["num_runs"] == 1


@pytest.mark.parametrize("backend", ["sequential", "loky"])
def test_a_killed_bench_leaves_no_process_and_can_be_gone_on_with(folder: Path, backend: str) -> None:
    with start(folder, "--backend", backend) as bench:
        os.kill(bench.pid, signal.SIGKILL)
        bench.communicate(timeout=60)
    _until(lambda: _all_gone(folder))
    assert [line["solver"] for line in read_lines(folder / "out")] == ["single"]
    what = asked(folder, "single", "pipeline_even", select=("*=1",), time_limit_s=300.0)
    assert len(sweep(what, folder / "out", backend="sequential")) == 2  # and it is not locked
