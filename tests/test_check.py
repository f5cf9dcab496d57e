"""Soundness: every fault of a plan that does not fit its workload and cluster, with its path."""

from __future__ import annotations

from typing import Any

import pytest

from models.cluster import Cluster
from models.document import sha256_of
from models.errors import InputError
from models.workload import Workload
from solver.check import check
from tests.language.cases import block, cluster, device, pipeline, plan, stage, workload

CHAIN = workload(
    block("a", tensor={"heads": 4, "weight_bytes": 4}, tokens=8, sequence={}),
    block("b"),
    block("c", task="t"),
)
BOARDS = cluster("x", "y", "z")
SOUND = [stage("a b", {"x": 5, "y": 3}), stage("c", {"z": 8})]


def faults(
    *pipelines: dict[str, Any], work: Workload = CHAIN, boards: Cluster = BOARDS, **more: Any
) -> dict[str, str]:
    """Faults of a plan as {path: message}; the path of a stage counts from ``stages``."""
    with pytest.raises(InputError) as error:
        check(plan(*pipelines, **more), work, boards)
    return {fault.path.removeprefix("pipelines.0."): fault.message for fault in error.value.faults}


def one(*stages: dict[str, Any], **more: Any) -> dict[str, str]:
    return faults(pipeline(2, 8, *stages), **more)


def test_sound_plan():
    check(plan(pipeline(2, 8, *SOUND)), CHAIN, BOARDS)


def test_more_micro_batches_than_can_be_written_down():
    assert faults(pipeline(10**8, 8, *SOUND)) == {
        "micro_batches": "100000000 through 2 stages are 200000000 passes; at most 4000000 can be lowered"
    }


def test_block_left_out():
    assert one(stage("a", {"x": 8}), stage("c", {"z": 8})) == {"stages": "these blocks are in no stage: b"}


def test_block_twice():
    found = one(stage("a b", {"x": 8}), stage("b c", {"z": 8}))
    assert found == {"stages.1.blocks.0": "block 'b' is in stage 0 already"}


def test_unknown_block():
    found = one(stage("a bee", {"x": 8}), stage("c", {"z": 8}))
    assert found == {
        "stages.0.blocks.1": "no block is called 'bee'",
        "stages": "these blocks are in no stage: b",
    }


def test_unknown_device():
    found = one(stage("a b c", {"x": 5, "tx2": 3}))
    assert found == {"stages.0.shares.tx2": "no device is called 'tx2'; there are: x, y, z"}


def test_data_shares_do_not_add_up():
    found = one(stage("a b c", {"x": 5, "y": 4}))
    assert found == {"stages.0.shares": "data shares add up to 9, a micro-batch has 8 samples"}


@pytest.mark.parametrize(
    ("mode", "shares", "message"),
    [
        ("tensor", {"x": 2, "y": 3}, "tensor shares add up to 5; the blocks have 4 heads"),
        ("sequence", {"x": 4, "y": 3}, "sequence shares add up to 7; the blocks have 8 tokens"),
    ],
)
def test_other_shares_do_not_add_up(mode: str, shares: dict[str, int], message: str):
    assert one(stage("a", shares, mode=mode), stage("b c", {"z": 8})) == {"stages.0.shares": message}


def test_shares_of_a_nested_group_do_not_add_up():
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 1, "y": 1}}
    found = one(stage("a", {"pair": pair, "z": 4}), stage("b c", {"z": 8}))
    assert found == {
        "stages.0.shares": "data shares add up to 9, a micro-batch has 8 samples",
        "stages.0.shares.pair.shares": "tensor shares add up to 2; the blocks have 4 heads",
    }


def test_explicit_shares_do_not_add_up():
    found = one(
        stage("a", {"heads": {"x": 1, "y": 1}, "tokens": {"x": 4, "y": 4}}, mode="tensor"),
        stage("b c", {"z": 8}),
    )
    assert found == {
        "stages.0.shares.heads": "heads add up to 2; the blocks have 4",
        "stages.0.shares.tokens": "mode tensor does not cut tokens",
    }


def test_group_inside_tensor():
    pair = {"samples": 2, "mode": "data", "shares": {"x": 1, "y": 1}}
    found = one(stage("a", {"pair": pair, "z": 4}, mode="tensor"), stage("b c", {"z": 8}))
    assert found == {"stages.0.shares": "a group may stand inside mode data, not inside mode tensor"}


def test_mode_that_no_block_of_the_stage_has():
    found = one(stage("a", {"x": 8}), stage("b c", {"x": 4, "y": 4}, mode="tensor"))
    assert found == {"stages.1.shares": "no block of this stage can be cut in mode tensor; use mode data"}


def test_device_twice_in_one_stage():
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 2, "y": 2}}
    found = one(stage("a", {"pair": pair, "x": 3}), stage("b c", {"z": 8}))
    assert found == {"stages.0.shares.x": "device 'x' has two shares of one stage"}


def test_stages_that_wait_for_one_another():
    found = one(stage("a c", {"x": 8}), stage("b", {"y": 8}))
    assert list(found) == ["stages"]
    assert "stages 0 -> 1 wait for one another" in found["stages"]


def test_samples_of_the_pipelines_are_the_batch():
    found = faults(pipeline(2, 8, *SOUND), job={"batch": 10})
    assert found == {"job.batch": "the pipelines compute 16 samples, the batch has 10"}


def test_several_faults_at_once():
    found = faults(
        pipeline(2, 8, stage("a a", {"x": 4, "q": 3}), stage("c", {"z": 8}, recompute=["b"])),
        job={"frozen": ["nobody"], "precision": "bf16"},
        devices={"q": {"rank": 2}, "x": {"rank": 2, "power_mode": "5w", "bandwidth_hz": 1}},
        sync={"topology": "star", "server": "s"},
        backup=[{"stage": [0, 7], "on": "q"}],
    )
    assert list(found) == [
        "job.frozen.0",
        "job.precision",
        "stages.0.blocks.1",
        "stages.0.shares.q",
        "stages.0.shares",
        "stages.1.recompute.0",
        "stages",
        "devices.q",
        "devices.x.power_mode",
        "devices.x.rank",
        "devices.x.bandwidth_hz",
        "sync.server",
        "backup.0.stage",
        "backup.0.on",
    ]


def test_changed_workload_and_cluster():
    stale = "0" * 64
    found = faults(
        pipeline(2, 8, *SOUND),
        workload={"name": "tiny", "sha256": stale},
        cluster={"name": "boards", "sha256": stale},
    )
    assert list(found) == ["workload.sha256", "cluster.sha256"]
    assert "has changed since the plan was made" in found["workload.sha256"]


def test_digests_that_hold():
    made = plan(
        pipeline(2, 8, *SOUND),
        workload={"name": "tiny", "sha256": sha256_of(CHAIN)},
        cluster={"name": "boards", "sha256": sha256_of(BOARDS)},
    )
    check(made, CHAIN, BOARDS)


def test_tasks_and_modalities_that_are_not_there():
    batches = [{"samples": 8, "tasks": {"u": 8}}, {"samples": 8, "modalities": ["smell"]}]
    found = faults(pipeline(batches, 8, *SOUND))
    assert found == {
        "micro_batches.0.tasks.u": "no such task; there are: t",
        "micro_batches.1.modalities": "no 'smell'; there are: none",
    }


def test_serving_words_in_a_plan_that_trains():
    found = one(stage("a b c", {"x": 8}, instances={"x": 2}, routing={"x": 1}))
    assert set(found) == {"stages.0.instances", "stages.0.routing"}


@pytest.mark.parametrize("routing", [{}, {"x": 0}, {"x": -1, "y": 3}])
def test_routing_weights_that_route_nowhere(routing: dict[str, float]):
    found = one(stage("a b c", {"x": 5, "y": 3}, routing=routing), job={"kind": "serve"})
    assert found == {"stages.0.routing": "weights must not be negative, and one must be above zero"}


def test_instances_and_routes_to_devices_of_other_stages():
    found = one(stage("a b c", {"x": 8}, instances={"y": 2}, routing={"z": 1}), job={"kind": "serve"})
    assert set(found) == {"stages.0.instances.y", "stages.0.routing.z"}


def test_group_that_serves_together_has_no_routes():
    found = one(
        stage("a", {"x": 2, "y": 2}, mode="tensor", instances={"x": 2}),
        stage("b c", {"z": 8}),
        job={"kind": "serve"},
    )
    assert found == {"stages.0.instances": "a group serves every request together in mode tensor"}


def test_a_ring_joins_every_device_of_its_stage_once():
    pair = {"samples": 5, "mode": "data", "shares": {"y": 2, "z": 3}}
    shares = {"x": 3, "pair": pair}
    check(plan(pipeline(2, 8, stage("a b c", shares, ring=["y", "x", "z"]))), CHAIN, BOARDS)
    assert one(stage("a b c", shares, ring=["x", "pair", "x"])) == {
        "stages.0.ring.1": "'pair' is not among the stage's devices",
        "stages.0.ring.2": "'x' is in the ring already",
        "stages.0.ring": "a ring joins all devices of its stage; missing: y, z",
    }


def test_services_run_on_devices():
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 2, "y": 2}}
    found = one(stage("a b c", {"pair": pair, "z": 3}), job={"kind": "serve"})
    assert found == {"stages.0.shares.pair": "a service runs on devices, not on groups of them"}


def test_serving_trains_nothing():
    found = one(*SOUND, job={"kind": "serve"}, sync={"every": 2, "topology": "star", "server": "x"})
    assert found == {"sync.every": "serving trains nothing: leave sync out"}


def test_spectrum_is_for_its_members():
    radio = {"bandwidth_hz": 1, "noise_w_per_hz": 1, "gain": {"x": 1}, "tx_power_w": 1}
    net = {"name": "net", "members": ["x", "y", "z"], "bandwidth_bytes_per_s": 1, "spectrum": radio}
    boards = cluster("x", "y", "z", segments=[net])
    found = faults(
        pipeline(2, 8, *SOUND), boards=boards, devices={"x": {"bandwidth_hz": 1}, "y": {"bandwidth_hz": 1}}
    )
    assert found == {"devices.y.bandwidth_hz": "'y' is in no spectrum"}


def test_power_mode_that_is_not_there():
    modes = {"5w": {"flop_per_s": {"fp32": 1}, "busy_w": 5}}
    boards = cluster(device("x", power_modes=modes), "y", "z")
    found = faults(pipeline(2, 8, *SOUND), boards=boards, devices={"x": {"power_mode": "10w"}})
    assert found == {"devices.x.power_mode": "no mode '10w'; there are: 5w"}


def test_faults_of_the_second_pipeline_have_its_path():
    with pytest.raises(InputError) as error:
        check(plan(pipeline(1, 8, *SOUND), pipeline(1, 8, stage("a b", {"x": 8}))), CHAIN, BOARDS)
    assert [fault.path for fault in error.value.faults] == ["pipelines.1.stages"]


def test_copies_are_renewed_in_few_different_periods():
    """The kinds of steps double with each period: 7 of them are too many, 6 and a 1 are not."""
    backup = [{"stage": [0, i % 2], "on": "z" if i % 2 == 0 else "x", "every": i + 1} for i in range(8)]
    assert "at most 6" in one(*SOUND, backup=backup)["backup"]
    check(plan(pipeline(2, 8, *SOUND), backup=backup[:7]), CHAIN, BOARDS)
