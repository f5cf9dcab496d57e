"""Costs of a micro-batch by hand, and the closed form against the evaluator."""

from dataclasses import replace

import numpy as np
import pytest

from models.formats.vtrain import FOLDER, GptRun, read_folder
from solver.validation.suites.vtrain import predict
from solver.validation.vtrain.constants import Constants, shipped
from solver.validation.vtrain.costs import Shapes, iteration_s, pass_costs

CONSTANTS = Constants(
    gemm_efficiency=0.5,
    whole_vocabulary_efficiency=0.25,
    score_bytes=20,
    kernel_s=1e-4,
    launch_s=1e-6,
    launch_growth=0.1,
    launch_cut_s=1e-6,
    launch_unfused_s=1e-6,
    tensor_efficiency=0.5,
    tensor_latency_s=1e-4,
    tensor_latency_growth=0.5,
    message_bytes_per_s=10e9,
)
RUN = GptRun("x/1", 4, 8, 2, 1024, 16, 12, 1024, 2, 1, 2)


def costs_of(run, **changes):
    return pass_costs(Shapes.of([run]), CONSTANTS.model_copy(update=changes))


def test_a_layer_whose_kernels_keep_the_gpu_busy():
    one = costs_of(RUN)
    # 24 x 2048 tokens x 1024^2 + 4 x 2048 x 1024 x 1024 = 60.13e9 flop, half of it on each of two GPUs, at
    # 156e12 a second; 2 x 16 x 1024^2 / 2 scores of 20 bytes at 2e12 a second; and kernels of 0.1 ms.
    forward = 60.129542144e9 / 2 / 156e12 + 16 * 1024**2 * 20 / 2e12 + 1e-4
    assert one.layer_forward[0] == pytest.approx(forward)
    assert one.layer_backward[0] == pytest.approx(2 * forward)
    # A ring of two passes each half once there and once back: 4 MiB at 150e9 a second.
    assert one.all_reduce[0] == pytest.approx(1e-4 + 4 * 2**20 / 150e9)


def test_a_layer_that_waits_for_its_host():
    one = costs_of(RUN, launch_s=4e-3, launch_cut_s=1e-3)
    hidden_by_launches = 2 * one.all_reduce[0]
    assert one.layer_forward[0] == pytest.approx(5e-3 - hidden_by_launches)
    assert one.layer_backward[0] == pytest.approx(10e-3 - hidden_by_launches)


def test_the_fused_softmax_needs_a_multiple_of_four():
    eight = replace(RUN, gpus=16, tensor=8, micro_batch=1)
    slow = costs_of(eight, launch_s=4e-3, launch_unfused_s=2e-3)
    fast = costs_of(replace(eight, micro_batch=2), launch_s=4e-3, launch_unfused_s=2e-3)
    gained = slow.layer_forward[0] + 2 * slow.all_reduce[0] - fast.layer_forward[0] - 2 * fast.all_reduce[0]
    assert gained == pytest.approx(2e-3)


def test_the_head_cut_and_whole():
    product = 6 * 2048 * 1024 * 51_200
    assert costs_of(RUN).head[0] == pytest.approx(product / 2 / 156e12 + 2.25e-6)
    whole = costs_of(replace(RUN, gpus=2, tensor=1))
    assert whole.head[0] == pytest.approx(product / 78e12 + 2.25e-6)
    assert whole.all_reduce[0] == 0


def test_an_iteration_of_one_stage():
    run = replace(RUN, gpus=1, tensor=1, pipeline=1, global_batch=8)
    one = costs_of(run)
    micro_batch = 12 * (one.layer_forward + one.layer_backward) + one.embedding + one.head
    parameters = 12 * (12 * 1024**2 + 13 * 1024) + 1024 * (51_200 + 1024)
    expected = 4 * micro_batch[0] + 40 * parameters / 2e12
    assert iteration_s(Shapes.of([run]), CONSTANTS)[0] == pytest.approx(expected)


def test_replicas_reduce_their_gradients():
    one = replace(RUN, gpus=1, tensor=1, pipeline=1, global_batch=8)
    two = replace(one, gpus=2, data=2, global_batch=16)
    first, second = iteration_s(Shapes.of([one, two]), CONSTANTS)
    parameters = 12 * (12 * 1024**2 + 13 * 1024) + 1024 * (51_200 + 1024)
    assert second - first == pytest.approx(2 * parameters / 240e9)


def test_the_closed_form_is_the_evaluators_figure():
    runs = read_folder(FOLDER)[::61]
    constants = shipped()
    assert {(run.tensor > 1, run.data > 1, run.pipeline > 1) for run in runs} >= {
        (True, True, True),
        (False, True, True),
        (True, False, True),
    }
    expected = iteration_s(Shapes.of(runs), constants)
    found = np.array([predict(run, constants).iteration_s for run in runs])
    assert found == pytest.approx(expected, rel=1e-9)
