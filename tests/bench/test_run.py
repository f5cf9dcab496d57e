"""One run: what an honest solver leaves, and how every way to misbehave becomes a recorded failure.

The first case of ``toy``: two blocks of 1 + 1 flop, two samples, boards of 1 and 2 flop/s. The whole work is
8 flop: 8 s on the first board, 4 s on the second.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from solver.bench.run import FAILED
from tests.bench.benches import instances, run_one, solver_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    instances(tmp_path)
    return tmp_path


def test_an_honest_run_is_confirmed_and_measured(folder: Path) -> None:
    done = run_one(folder, "single")
    line = done.line
    assert (line["status"], line["failure"]) == ("OPTIMAL", None)
    assert line["score"] == line["bound"] == pytest.approx(4.0)
    assert line["gap"] == 0
    assert line["incumbents"][-1][1] == line["score"]
    assert line["peak_memory_bytes"] > 20e6 and line["wall_s"] >= 0
    assert (line["instance"], line["variant"], line["parameters"]) == (
        "layer/small",
        "chain",
        {"micro_batches": 1},
    )
    assert {"partage", "python", "numpy", "ortools", "pulp"} <= set(line["versions"])
    assert {"cpu", "cores"} <= set(line["machine"])
    assert done.document is not None and done.document["objective"] == pytest.approx(4000.0)  # ms
    json.dumps(line, allow_nan=False)


CASES = {
    "raises": ("raise ValueError('no idea')", "exception", "ValueError: no idea"),
    "exits": ("sys.exit(0)", "crash", "code 0 and without an answer"),
    "dies": ("os.kill(os.getpid(), 11)", "crash", "signal SIGSEGV"),
    "killed": ("os.kill(os.getpid(), 9)", "crash", "signal SIGKILL (out of memory, if nobody"),
    "empty": ("return None", "garbage", "SolverError: solver empty returned None"),
    "text": ("return Outcome(Space(), plan='the best one')", "garbage", "the plan 'the best one'"),
    "unsound": (
        "plan = plan_of(problem)\n"
        "bad = plan.pipelines[0].model_copy(update={'stages': plan.pipelines[0].stages * 2})\n"
        "return Outcome(Space(), plan=plan.model_copy(update={'pipelines': (bad,)}))",
        "garbage",
        "InputError",
    ),
    "no_number": (
        "return Outcome(Space(), plan=plan_of(problem), bound=math.nan)",
        "garbage",
        "the bound nan",
    ),
    "high_bound": ("return Outcome(Space(), plan=plan_of(problem), bound=9.0)", "lie", "bound 9.0 is above"),
    "out_of_memory": ("raise MemoryError", "memory", "out of memory"),
}


@pytest.mark.parametrize("name", CASES)
def test_misbehaviour_is_a_recorded_failure(folder: Path, name: str) -> None:
    body, failure, reason = CASES[name]
    done = run_one(folder, solver_file(folder, name, body))
    assert (done.line["status"], done.line["failure"]) == (FAILED, failure)
    assert reason in done.line["reason"]
    assert done.line["score"] is None and done.document is None
    json.dumps(done.line, allow_nan=False)


def test_a_solver_that_bends_the_evaluator_of_its_own_process_is_found_out(folder: Path) -> None:
    body = """
    import solver.search.incumbent as incumbent
    honest = incumbent.judge
    incumbent.judge = lambda *given: (honest(*given)[0], 0.5)
    return Outcome(Space(), plan=plan_of(problem))
    """
    line = run_one(folder, solver_file(folder, "bends", body)).line
    assert (line["status"], line["failure"], line["score"]) == (FAILED, "lie", None)
    assert "it claims a score of 0.5, the evaluator says 8.0" in line["reason"]


def test_a_plan_that_breaks_a_limit_is_not_believed(folder: Path) -> None:
    instances(folder, small={"memory_bytes": 1.0})
    body = """
    import dataclasses
    import solver.search.incumbent as incumbent
    honest = incumbent.judge
    def judge(*given):
        report, score = honest(*given)
        return dataclasses.replace(report, violations=()), score
    incumbent.judge = judge
    return Outcome(Space(), plan=plan_of(problem))
    """
    line = run_one(folder, solver_file(folder, "blind", body)).line
    assert (line["failure"], line["score"]) == ("lie", None)
    assert "its plan breaks limits" in line["reason"]


def test_a_solver_that_hangs_is_stopped_with_what_it_forked_and_keeps_its_incumbents(folder: Path) -> None:
    body = f"""
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids = []
    for leaves_the_group in (False, True):
        child = subprocess.Popen(['sleep', '600'], start_new_session=leaves_the_group)
        pids.append(str(child.pid))
    open({str(folder / "pids")!r}, 'w').write(' '.join(pids))
    search.offer(plan_of(problem))
    while True:
        time.sleep(1)
    """
    line = run_one(folder, solver_file(folder, "hangs", body), time_limit_s=4.0, grace_s=0.5).line
    assert (line["status"], line["failure"]) == (FAILED, "hang")
    assert line["reason"] == "still running 0.5 s after its time limit of 4 s: stopped"
    assert [score for _, score in line["incumbents"]] == [pytest.approx(8.0)]
    pids = (folder / "pids").read_text().split()
    assert len(pids) == 2 and not any(psutil.pid_exists(int(pid)) for pid in pids)


def test_what_a_solver_leaves_running_ends_with_its_run(folder: Path) -> None:
    body = f"""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open({str(folder / "pid")!r}, 'w').write(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    while not os.path.exists({str(folder / "pid")!r}):
        time.sleep(0.01)
    return Outcome(Space(), plan=plan_of(problem))
    """
    line = run_one(folder, solver_file(folder, "daemon", body)).line
    assert (line["status"], line["score"]) == ("FEASIBLE", pytest.approx(8.0))
    assert not psutil.pid_exists(int((folder / "pid").read_text()))


def test_a_copy_that_a_solver_forks_has_no_say(folder: Path) -> None:
    body = """
    if os.fork() == 0:
        return Outcome(Space(), reason='copy')
    time.sleep(0.3)
    return Outcome(Space(), plan=plan_of(problem), reason='original')
    """
    assert run_one(folder, solver_file(folder, "forks", body)).line["reason"] == "original"


def test_what_a_solver_prints_is_kept_apart_and_bounded(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = """
    print('{"status": "OPTIMAL"}')
    subprocess.run(['echo', 'from a child'])
    os.write(2, b'to standard error\\n')
    print('x' * 200_000)
    print('the end', flush=True)
    os.close(1)
    return Outcome(Space(), plan=plan_of(problem))
    """
    done = run_one(folder, solver_file(folder, "prints", body))
    assert done.line["status"] == "FEASIBLE"
    for text in ('{"status"', "from a child", "to standard error", "bytes left out", "the end"):
        assert text in done.output
    assert len(done.output) < 70_000
    assert capfd.readouterr() == ("", "")


def test_memory_is_measured_over_all_processes_and_can_be_limited(folder: Path) -> None:
    body = """
    code = 'import time; data = bytearray(200_000_000); time.sleep(600)'
    child = subprocess.Popen([sys.executable, '-c', code])
    time.sleep(600)
    """
    ref = solver_file(folder, "eats", body)
    line = run_one(folder, ref, memory_limit_bytes=250_000_000).line
    assert (line["failure"], line["reason"]) == ("memory", "used more than 250,000,000 bytes: stopped")
    assert line["peak_memory_bytes"] > 250_000_000


def test_limits_that_ended_a_run_are_told(folder: Path) -> None:
    body = """
    search.offer(plan_of(problem))
    while True:
        search.tick()
    """
    ref = solver_file(folder, "ticks", body)
    assert run_one(folder, ref, time_limit_s=0.3, grace_s=60.0).line["stopped_by"] == "time limit"
    assert run_one(folder, ref, time_limit_s=60.0, work_limit=10).line["stopped_by"] == "work limit"


def test_infeasible_is_an_answer_without_a_solution(folder: Path) -> None:
    instances(folder, small={"memory_bytes": 1.0})
    done = run_one(folder, "single")
    assert (done.line["status"], done.line["failure"], done.document) == ("INFEASIBLE", None, None)
    assert done.line["reason"]


def test_the_clock_of_a_run_does_not_count_reading_the_instance(folder: Path) -> None:
    began = time.monotonic()
    line = run_one(folder, "single").line
    assert line["wall_s"] < time.monotonic() - began


def test_the_clock_of_a_run_does_not_count_compiling(folder: Path) -> None:
    """Compiling takes longer than the limit and the grace together."""
    body = """
    from numba.core import event
    with event.trigger_event("numba:compile"):
        time.sleep(2.5)
    search.tick()
    return Outcome(Space(), plan=plan_of(problem))
    """
    line = run_one(folder, solver_file(folder, "compiles", body), time_limit_s=1.0, grace_s=0.5).line
    assert (line["status"], line["failure"]) == ("FEASIBLE", None)
    assert line["wall_s"] < 1.5
