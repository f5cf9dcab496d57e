"""The plan of a run."""

from models.formats.vtrain import GptRun
from solver.check import check
from solver.validation.vtrain.constants import shipped
from solver.validation.vtrain.gpt import workload_of
from solver.validation.vtrain.gpus import cluster_of
from solver.validation.vtrain.plan import is_recomputed, plan_of


def plan_for(tensor, data, pipeline, each=2, **shape):
    shape = {"hidden": 1024, "heads": 16, "layers": 12, "sequence": 1024} | shape
    run = GptRun(
        "x/1", tensor * data * pipeline, 16, each, **shape, tensor=tensor, data=data, pipeline=pipeline
    )
    workload, cluster = workload_of(run, shipped()), cluster_of(run, shipped())
    plan = plan_of(run, workload, cluster)
    check(plan, workload, cluster)
    return plan.pipelines[0]


def test_data_over_tensor_over_stages():
    pipeline = plan_for(2, 2, 2)
    assert (pipeline.micro_batches, pipeline.samples) == (4, 4)
    first, last = pipeline.stages
    assert first.blocks == ("embedding", *(f"layer{i}" for i in range(6)))
    assert last.blocks == (*(f"layer{i}" for i in range(6, 12)), "head")
    assert (first.in_flight, last.in_flight) == (2, 1)
    group = first.shares["replica1"]
    assert (first.mode, group.samples, group.mode) == ("data", 2, "tensor")
    assert group.shares == {"p0.d1.t0": 8, "p0.d1.t1": 8}


def test_one_kind_of_parallelism_needs_no_group():
    assert plan_for(4, 1, 1).stages[0].shares == {f"p0.d0.t{t}": 4 for t in range(4)}
    assert plan_for(1, 2, 1).stages[0].shares == {"p0.d0.t0": 2, "p0.d1.t0": 2}


def test_layers_that_do_not_divide_are_shared_out_evenly():
    sizes = [len(stage.blocks) for stage in plan_for(1, 1, 4, layers=10).stages]
    assert sizes == [3, 3, 2, 4]  # 2, 3, 2 and 3 layers, the embedding before, the head behind


def test_a_net_too_large_to_keep_its_activations_recomputes_them():
    small = GptRun("", 8, 16, 2, 2048, 16, 24, 1024, 1, 8, 1)
    large = GptRun("", 8, 16, 8, 6144, 48, 32, 2048, 8, 1, 1)
    assert not is_recomputed(small)
    assert is_recomputed(large)
    stage = plan_for(8, 1, 1, each=8, hidden=6144, heads=48, layers=32, sequence=2048).stages[0]
    assert stage.recompute == tuple(f"layer{i}" for i in range(32))
