"""A run of Sailor as plan and cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from models.formats.sailor import PUBLIC, Curve, SailorData, read_folder
from solver.plan import Group
from solver.validation.sailor.cluster import latency_and_rate
from solver.validation.sailor.constants import Constants
from solver.validation.sailor.instance import instance_of

ZONE = "us-central1-a"


def data_of(folder: Path, stages: list[tuple[list[int], list[Any]]], **words: Any) -> SailorData:
    """Return a folder with one run of one pipeline: (layers, copies) of every stage."""
    layers, copies = zip(*stages, strict=True)
    pipeline = {"layers_per_stage": layers, "tmp_per_stage": copies, "dp": [len(part) for part in copies]}
    place = folder / "validation" / "x_OPT-350" / "one.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"pipeline_list": [pipeline], "mbs": 2, "gbs": 16, **words}))
    return read_folder(folder)


def test_stages_are_data_over_tensor_with_as_many_in_flight_as_follow() -> None:
    made = instance_of(read_folder(PUBLIC), "clariden_OPT-350/N4/plan_config_N4_D2", Constants())
    (pipeline,) = made.plan.pipelines
    assert (pipeline.samples, pipeline.num_micro_batches) == (2, 32)
    assert [stage.in_flight for stage in pipeline.stages] == [2, 1]
    first = pipeline.stages[0].shares
    assert isinstance(first, dict) and list(first) == ["copy0", "copy1"]
    group = first["copy1"]
    assert isinstance(group, Group)
    assert (group.samples, group.mode, group.shares) == (
        1,
        "tensor",
        {f"{ZONE}/GH-96/{i}": 4 for i in range(4, 8)},
    )


def test_a_group_lies_on_one_node_if_it_fits(tmp_path: Path) -> None:
    two, four = [[["GH-96", 2, ZONE]], 2], [[["GH-96", 4, ZONE]], 4]
    made = instance_of(
        data_of(tmp_path, [([*range(10)], [two]), ([*range(10, 26)], [four])]), "x_OPT-350/one", Constants()
    )
    names = [device.name for device in made.cluster.devices]
    # GPUs 2 and 3 of the first node stay free.
    assert names == [f"{ZONE}/GH-96/{i}" for i in (0, 1, 4, 5, 6, 7)]
    inside, outside = made.cluster.link(names[0], names[1]), made.cluster.link(names[0], names[2])
    assert inside.bytes_per_s > 4 * outside.bytes_per_s


def test_link_cost_stretches_bytes_between_nodes_only() -> None:
    data = read_folder(PUBLIC)
    plain, slow = (
        instance_of(data, "clariden_OPT-350/N2/plan_config_N2_D2", Constants(link_cost=cost)).cluster
        for cost in (1, 2)
    )
    a, b, c = (f"{ZONE}/GH-96/{i}" for i in (0, 1, 4))
    assert slow.link(a, c).bytes_per_s == plain.link(a, c).bytes_per_s / 2
    assert slow.link(a, b) == plain.link(a, b)


def test_line_through_a_curve() -> None:
    # 1 GB/s at every size: no latency.
    flat = Curve(coefficients=(0, 0, 1), peak_bytes_per_s=1e9)
    assert latency_and_rate(flat) == pytest.approx((0.0, 1e9))
    # 1 GB/s at 1 MiB and 4 GB/s at 512: 511 MiB in 128 - 1 units of 1 MiB / 1 GB/s.
    rising = Curve(coefficients=(0, 1, 1), peak_bytes_per_s=4e9)
    latency_s, rate = latency_and_rate(rising)
    unit_s = 2**20 / 1e9
    assert rate == pytest.approx(511 * 2**20 / (127 * unit_s))
    assert latency_s == pytest.approx(unit_s - 127 * unit_s / 511)


def test_different_gpus_are_joined_by_their_own_curve(tmp_path: Path) -> None:
    v100, a100 = [[["V100-16", 2, ZONE]], 2], [[["A100-40", 4, ZONE]], 4]
    data = data_of(tmp_path, [([*range(10)], [v100]), ([*range(10, 26)], [a100])])
    made = instance_of(data, "x_OPT-350/one", Constants())
    assert len(made.cluster.links) == 8
    curve = data.across[ZONE]["V100-16"][1][ZONE]["A100-40"][1]
    assert made.cluster.links[0].bandwidth_bytes_per_s == latency_and_rate(curve)[1]
    assert made.predict().iteration_s > 0


def test_a_batch_that_micro_batches_do_not_fill_has_a_smaller_last_one(tmp_path: Path) -> None:
    one = [[["GH-96", 1, ZONE]], 1]
    made = instance_of(data_of(tmp_path, [([*range(26)], [one, one])], gbs=10), "x_OPT-350/one", Constants())
    assert [batch.samples for batch in made.plan.pipelines[0].batches] == [4, 4, 2]
    assert made.predict().iteration_s > 0


@pytest.mark.parametrize(
    ("layers", "gpu", "message"),
    [
        (range(25), ["GH-96", 2, ZONE], "each of 0 to 25 is needed once"),
        (range(26), ["GH-96", 8, ZONE], "was not profiled at tensor degree 8"),
    ],
)
def test_what_cannot_be_predicted_is_a_fault(
    tmp_path: Path, layers: range, gpu: list[Any], message: str
) -> None:
    data = data_of(tmp_path, [([*layers], [[[gpu], gpu[1]]])])
    with pytest.raises(InputError, match=message):
        instance_of(data, "x_OPT-350/one", Constants())


def test_zones_without_a_curve_are_a_fault(tmp_path: Path) -> None:
    here, there = [[["GH-96", 1, ZONE]], 1], [[["GH-96", 1, "mars"]], 1]
    data = data_of(tmp_path, [([*range(10)], [here]), ([*range(10, 26)], [there])])
    with pytest.raises(InputError, match="no curve between GH-96 in us-central1-a and GH-96 in mars"):
        instance_of(data, "x_OPT-350/one", Constants())
