"""A net of Sailor as blocks, by hand."""

from __future__ import annotations

import pytest

from models.formats.sailor import Shape
from solver.validation.sailor.workload import smoothed, update_s, workload_of

SHAPE = Shape(
    model="tiny",
    hidden_size=8,
    sequence_length=4,
    num_layers=1,
    vocab_size=10,
    heads=2,
    max_position_embeddings=4,
)
PROFILE = {1: {2: {layer: (1.0 + layer, 2.0, 0.25) for layer in range(3)}}}


def test_blocks_have_the_bytes_of_the_shape() -> None:
    made = workload_of(SHAPE, {"gpu": PROFILE}, [("gpu", 2)], {0: 1, 1: 2, 2: 2}, 2.0)
    embedding, layer, head = made.blocks
    # (10 + 4) x 8; 12 x 64 + 13 x 8; 10 x 8 + 2 x 8 weights of 4 bytes
    assert [block.weight_bytes for block in made.blocks] == [4 * 112, 4 * 872, 4 * 96]
    # s h = 32: mask 32; 34 x 32 + 5 x 2 x 16; 4 x 32 + 6 x 4 x 10; times 2
    assert [block.kept_bytes for block in made.blocks] == [64, 2 * (1088 + 160), 2 * (128 + 240)]
    assert layer.tensor is not None and layer.tensor.kept_whole_bytes == 2 * 320
    # 2 bytes x s h, as often as the larger degree at its two ends
    assert [block.output_bytes for block in made.blocks] == [2 * 64, 2 * 64, 2 * 64]
    assert head.tensor is not None and embedding.tensor is not None
    assert embedding.tensor.weight_bytes == embedding.weight_bytes


def test_a_gpu_of_a_group_gets_the_measured_time() -> None:
    made = workload_of(SHAPE, {"gpu": PROFILE}, [("gpu", 2)], {0: 2, 1: 2, 2: 2}, 1.0)
    times = made.profiles["gpu/2"]["layer01"]
    # Lowering gives each of the two half of it.
    assert (times.forward_s, times.backward_s) == ((4.0,), (4.0,))


def test_update_is_that_of_the_layers() -> None:
    assert update_s(PROFILE, 2, [0, 2]) == 0.5


def test_a_smaller_batch_takes_no_longer_than_a_larger_one() -> None:
    assert smoothed([1, 16], [5.0, 3.0]) == [3.0, 3.0]


def test_small_batches_lie_on_a_line_and_large_ones_stay() -> None:
    # 1 + n exactly at 1, 2, 4, 8: the line is found, and 16 stays as measured.
    assert smoothed([1, 2, 4, 8, 16], [2.0, 3.0, 5.0, 9.0, 40.0]) == pytest.approx([2.0, 3.0, 5.0, 9.0, 40.0])
    # The warm-up at 1 sample counts as no more than the time of 2.
    times = smoothed([1, 2, 4, 8, 16], [90.0, 3.0, 5.0, 9.0, 40.0])
    assert times[:3] == sorted(times[:3])
    assert times[0] < 3.0
    assert times[3:] == [9.0, 40.0]


def test_two_small_batches_are_left_as_they_are() -> None:
    assert smoothed([4, 8, 16], [1.0, 3.0, 4.0]) == [1.0, 3.0, 4.0]
