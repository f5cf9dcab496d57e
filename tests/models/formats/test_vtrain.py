"""Runs of vTrain as they were published, and files that are not sound."""

import pytest

from models.errors import InputError
from models.formats.vtrain import COLUMNS, FOLDER, TIME, read, read_folder

HEADER = ",".join([*COLUMNS, TIME])
ROW = "4,16,2,1024,16,12,1024,2,1,2,100.5"


def write(folder, *rows, name="ground_truth_x.csv", header=HEADER):
    (folder / name).write_text("\n".join([header, *rows]), encoding="utf-8")
    return folder / name


def test_the_published_file_has_1440_runs():
    runs = read_folder(FOLDER)
    assert len(runs) == 1440
    first = runs[0]
    assert (first.name, first.gpus, first.global_batch, first.micro_batch) == ("single/1", 2, 16, 8)
    assert (first.hidden, first.heads, first.layers, first.sequence) == (1024, 16, 24, 1024)
    assert (first.tensor, first.data, first.pipeline) == (1, 1, 2)
    assert first.iteration_s == pytest.approx(0.372160408)
    assert first.num_micro_batches == 2
    assert runs[-1].name == "single/1440"


def test_columns_may_stand_in_any_order_and_the_time_may_be_missing(tmp_path):
    words = list(COLUMNS)[::-1]
    cells = ROW.split(",")[:-1][::-1]
    (run,) = read(write(tmp_path, ",".join(cells), header=",".join(words)))
    assert (run.name, run.gpus, run.pipeline, run.iteration_s) == ("x/1", 4, 2, None)


def test_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    write(tmp_path, ROW, name="ground_truth_b.csv")
    write(tmp_path, ROW, ROW, name="ground_truth_a.csv")
    assert [run.name for run in read_folder(tmp_path)] == ["a/1", "a/2", "b/1"]


def test_every_fault_is_named_with_its_line(tmp_path):
    bad = ("4,16,3,1024,16,12,1024,2,1,2,100.5", "4,16,2,1024,16,12,1024,4,1,2,-1", "four" + ROW[1:])
    write(tmp_path, ROW, *bad)
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    found = [str(fault) for fault in caught.value.faults]
    assert found == [
        "ground_truth_x.csv line 3: the global batch of 16 is no multiple of micro batch x data = 3 x 1",
        "ground_truth_x.csv line 4: iteration time (ms) must be a number above 0, or empty; given: '-1'",
        "ground_truth_x.csv line 4: "
        "tensor x data x pipeline must be the number of GPUs: 4 x 1 x 2 = 8, given 4",
        "ground_truth_x.csv line 5: # GPUs must be a whole number above 0; given: 'four'",
    ]


def test_a_header_that_lacks_columns_is_a_fault(tmp_path):
    with pytest.raises(InputError, match="lacks 'global batch', 'micro batch'"):
        read(write(tmp_path, "4", header="# GPUs"))


def test_a_folder_without_runs_is_a_fault(tmp_path):
    with pytest.raises(InputError, match="no ground_truth_<x>"):
        read_folder(tmp_path)


def test_a_file_of_a_header_alone_is_a_fault(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="no row after the header"):
        read_folder(tmp_path)
