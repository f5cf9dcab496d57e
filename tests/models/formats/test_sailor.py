"""Runs of Sailor: what is read, what is borrowed, and every fault with its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from models.formats.sailor import PUBLIC, Curve, read_folder

ZONE = "us-central1-a"
PLACE = "validation/here_OPT-350/one.json"


def run(**words: Any) -> dict[str, Any]:
    """One stage of all 26 layers on two copies of tensor degree 2."""
    copy = [[["GH-96", 2, ZONE]], 2]
    pipeline = {"layers_per_stage": [list(range(26))], "tmp_per_stage": [[copy, copy]], "dp": [2]}
    return {"pipeline_list": [pipeline], "mbs": 2, "gbs": 8, "zone": ZONE, "real": 1.5, **words}


def write(folder: Path, place: str, data: Any) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return folder


def faults(folder: Path) -> dict[str, str]:
    with pytest.raises(InputError) as error:
        read_folder(folder)
    return {fault.path: fault.message for fault in error.value.faults}


def test_public_data_has_15_runs_with_their_published_values() -> None:
    data = read_folder(PUBLIC)
    assert len(data.runs) == 15
    first = data.runs["clariden_OPT-350/N4/plan_config_N4_D1"]
    assert (first.real, first.max_mem, first.mbs, first.gbs) == (1.60196, 7358906368, 1, 64)
    assert first.gpus == {"GH-96": 16}
    assert [len(layers) for layers in first.pipeline_list[0].layers_per_stage] == [5, 7, 7, 7]
    assert data.profiles["OPT-350", "GH-96"][8][4][1] == (0.003021, 0.006469, 0.000479)
    assert data.shapes["OPT-350"].vocab_size == 50272
    assert data.borrowed == ()


def test_a_curve_is_a_parabola_over_the_power_of_two_up_to_its_peak() -> None:
    curve = Curve(coefficients=(-0.5, 4.0, 10.0), peak_bytes_per_s=15e9)
    assert curve.bytes_per_s(2**20) == 10e9
    assert curve.bytes_per_s(2**21) == 13.5e9
    assert curve.bytes_per_s(2**22) == 15e9  # 16, above the peak
    assert curve.bytes_per_s(1) == 10e9


def test_public_curves_meet_their_peak_at_512_mib() -> None:
    curve = read_folder(PUBLIC).across[ZONE]["GH-96"][1][ZONE]["GH-96"][1]
    assert curve.bytes_per_s(2**29) == curve.peak_bytes_per_s
    assert curve.bytes_per_s(2**26) < curve.peak_bytes_per_s


def test_what_a_folder_lacks_is_the_packages(tmp_path: Path) -> None:
    data = read_folder(write(tmp_path, PLACE, run(real=None)))
    assert data.runs["here_OPT-350/one"].real is None
    assert data.nets == {"here_OPT-350/one": "OPT-350"}
    assert "profiles/OPT-350/GH-96/profile.json" in data.borrowed


def test_own_files_go_first(tmp_path: Path) -> None:
    layers = {str(i): [1.0, 2.0, 3.0] for i in range(26)}
    write(tmp_path, PLACE, run())
    data = read_folder(write(tmp_path, "profiles/OPT-350/GH-96/profile.json", {"2": {"2": layers}}))
    assert data.profiles["OPT-350", "GH-96"] == {2: {2: dict.fromkeys(range(26), (1.0, 2.0, 3.0))}}


def test_several_groups_given_as_one_are_opened(tmp_path: Path) -> None:
    given = run()
    given["pipeline_list"][0]["tmp_per_stage"] = [[[[["GH-96", 4, ZONE]], 2]]]
    (copies,) = read_folder(write(tmp_path, PLACE, given)).runs["here_OPT-350/one"].pipeline_list[0].copies
    assert [copy.degree for copy in copies] == [2, 2]


def test_every_fault_of_every_file_is_listed(tmp_path: Path) -> None:
    bad = run(mbs=0, real=-1)
    bad["pipeline_list"][0]["tmp_per_stage"] = [[[[["GH-96", 3, ZONE]], 2]]]
    write(tmp_path, PLACE, bad)
    write(tmp_path, "validation/here_OPT-350/torn.json", "{")
    write(tmp_path, "validation/loose.json", run())
    found = faults(write(tmp_path, "network/intra_node_bandwidths.json", {"GH-96": {"2": [[1, 2], 3]}}))
    assert set(found) == {
        f"{PLACE}: mbs",
        f"{PLACE}: real",
        f"{PLACE}: pipeline_list.0.tmp_per_stage.0.0",
        "validation/here_OPT-350/torn.json",
        "validation/loose.json",
        "network/intra_node_bandwidths.json: within.GH-96.2.coefficients.2",
    }
    assert "3 GPUs cannot be tensor groups of 2" in found[f"{PLACE}: pipeline_list.0.tmp_per_stage.0.0"]


def test_stages_must_agree(tmp_path: Path) -> None:
    given = run()
    given["pipeline_list"][0]["dp"] = [3]
    found = faults(write(tmp_path, PLACE, given))
    assert "stage 0 has 2 copies in tmp_per_stage and 3 in dp" in found[f"{PLACE}: pipeline_list.0"]


def test_unknown_nets_and_gpus_are_faults(tmp_path: Path) -> None:
    given = run()
    given["pipeline_list"][0]["tmp_per_stage"] = [[[[["B200", 2, ZONE]], 2]] * 2]
    found = faults(write(tmp_path, "validation/here_Big-7/one.json", given))
    assert set(found) == {"validation/*_Big-7", "profiles/Big-7/B200/profile.json"}


def test_a_folder_without_runs_is_a_fault(tmp_path: Path) -> None:
    assert "there is no run" in faults(tmp_path)["validation"]
