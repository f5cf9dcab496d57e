"""What a bench is asked: every fault before anything runs, and names of files that are safe and unique."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.bench.asked import Asked, check_solvers, chosen_cases, stems, tasks
from solver.suites.case import Case
from tests.bench.benches import TOY, asked, instances, solver_file


def faults(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [str(fault) for fault in error.value.faults]


def test_every_wrong_number_is_listed() -> None:
    with pytest.raises(InputError) as error:
        Asked("edge", ("a", "b", "x/a.py"), -1.0, num_seeds=0, work_limit=0, grace_s=float("nan"))
    assert [fault.path for fault in error.value.faults] == [
        *("--time-limit", "--grace", "--seeds", "--work-limit", "--solvers")
    ]
    assert "two solvers are called a" in str(error.value)


def test_unknown_solvers_are_all_listed_with_the_nearest_names(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        check_solvers(asked(tmp_path, "singel", "single", "nowhere.py"))
    first, second = faults(error)
    assert "no solver is called 'singel'; did you mean single" in first
    assert "there is no file nowhere.py" in second


def test_broken_files_of_solvers_are_listed_and_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = solver_file(
        tmp_path, "broken", "return 1", top="print('noise')\nraise RuntimeError('on purpose')"
    )
    empty = tmp_path / "empty.py"
    empty.write_text("")
    with pytest.raises(InputError) as error:
        check_solvers(asked(tmp_path, broken, str(empty)))
    first, second = faults(error)
    assert "broken.py is broken: on purpose" in first
    assert "has no function solve(problem, search)" in second
    assert capfd.readouterr() == ("", "")


def test_a_file_that_ends_the_process_when_it_is_loaded_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="loading the solvers: its process ended with code 3"):
        check_solvers(asked(tmp_path, solver_file(tmp_path, "ends", "return 1", top="os._exit(3)")))


def test_a_missing_and_an_empty_folder_of_instances(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--instances: there is no folder"):
        chosen_cases(asked(tmp_path, "single"))
    (tmp_path / "instances").mkdir()
    with pytest.raises(InputError, match="holds no instance of suite toy"):
        chosen_cases(asked(tmp_path, "single"))
    with pytest.raises(InputError, match="there is no folder"):  # the suite's own folder
        chosen_cases(asked(tmp_path, "single", instances=None))


def test_every_fault_of_every_instance_is_listed(tmp_path: Path) -> None:
    instances(tmp_path, good={}, none={"speeds": []}, bad={"speeds": [], "num_blocks": 0})
    with pytest.raises(InputError) as error:
        chosen_cases(asked(tmp_path, "single"))
    assert faults(error) == [  # once, though each makes two cases
        "layer/bad.toy: speeds: at least one device is needed",
        "layer/bad.toy: num_blocks: 0: at least 1 is needed",
        "layer/none.toy: speeds: at least one device is needed",
    ]
    (tmp_path / "instances" / "layer" / "torn.toy").write_text('{"speeds": ')
    with pytest.raises(InputError, match="layer/torn: not valid JSON"):
        chosen_cases(asked(tmp_path, "single"))


def test_cases_are_selected_by_name_or_instance(tmp_path: Path) -> None:
    instances(tmp_path, one={}, two={})
    names = [one.case.name for one in chosen_cases(asked(tmp_path, "single", select=("*batches=2", "*/one")))]
    assert names == [
        "layer/one:chain:micro_batches=1",
        "layer/one:chain:micro_batches=2",
        "layer/two:chain:micro_batches=2",
    ]
    with pytest.raises(InputError, match="no case is called like three"):
        chosen_cases(asked(tmp_path, "single", select=("three",)))


def test_tasks_go_case_by_case_and_files_are_named_after_them(tmp_path: Path) -> None:
    instances(tmp_path)
    what = asked(tmp_path, "single", "best", num_seeds=2, select=("*=1",))
    assert [task.file for task in tasks(what, chosen_cases(what), 1)] == [
        f"layer-small-chain-micro_batches=1__{solver}__{seed}"
        for solver in ("single", "best")
        for seed in (0, 1)
    ]


def test_stems_are_short_safe_and_unique() -> None:
    cases = [
        Case("s", "layer/bert", "p"),
        Case("s", "a", "p", "contiguous"),
        Case("s", "a", "p", "latency"),
        Case("s", "b", "p", "", {"k": 8}),
        Case("s", "b", "p", "", {"k": 32}),
        Case("s", "x/y", "p"),
        Case("s", "X-y", "p"),
        Case("s", "../.." + "z" * 300, "p"),
    ]
    found = stems(cases)
    assert found["layer/bert"] == "layer-bert"
    assert (found["a:contiguous"], found["a:latency"]) == ("a-contiguous", "a-latency")
    assert (found["b:k=8"], found["b:k=32"]) == ("b-k=8", "b-k=32")
    assert found["x/y"].startswith("x-y~") and found["X-y"].startswith("X-y~")
    assert len(set(found.values())) == len(cases)
    assert all("/" not in stem and not stem.startswith(".") and len(stem) < 200 for stem in found.values())


def test_the_digest_of_a_problem_changes_with_its_meaning(tmp_path: Path) -> None:
    instances(tmp_path)
    what = asked(tmp_path, "single")
    before = [one.sha256 for one in chosen_cases(what)]
    assert before == [one.sha256 for one in chosen_cases(what)]
    assert before[0] != before[1]
    instances(tmp_path, small={"speeds": [1.0, 3.0]})
    assert before[0] != chosen_cases(what)[0].sha256


def test_a_suite_is_named_after_its_file() -> None:
    assert Asked(str(TOY), ("single",), 1.0).suite_name == "toy"
