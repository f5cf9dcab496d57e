"""Mini-batches: the same in every process, every sample once an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.nets import catalog
from models.nets.data import Dataset

TEN = Dataset("ten", lambda: ({"x": np.arange(10.0)[:, None]}, {"y": np.arange(10)}))


def test_same_step_and_seed_same_batch() -> None:
    again = Dataset("ten", TEN.load)
    assert torch.equal(TEN.batch(3, 4, seed=1).inputs["x"], again.batch(3, 4, seed=1).inputs["x"])
    assert not torch.equal(TEN.batch(3, 4, seed=1).inputs["x"], TEN.batch(3, 4, seed=2).inputs["x"])


def test_inputs_and_targets_belong_together() -> None:
    batch = TEN.batch(2, 6)
    assert batch.inputs["x"][:, 0].tolist() == batch.targets["y"].tolist()


def test_an_epoch_draws_every_sample_once() -> None:
    drawn = np.concatenate([TEN.indices(step, 4) for step in range(5)])
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()


def test_a_batch_may_span_epochs() -> None:
    assert np.bincount(TEN.indices(0, 25)).sum() == 25
    assert set(np.bincount(TEN.indices(0, 25))) <= {2, 3}


def test_number_format() -> None:
    batch = TEN.batch(0, 2, dtype=torch.float64)
    assert (batch.inputs["x"].dtype, batch.targets["y"].dtype) == (torch.float64, torch.int64)
    assert TEN.batch(0, 2).inputs["x"].dtype == torch.float32
    tenths = Dataset("tenths", lambda: ({"x": np.full((2, 1), 0.1)}, {}))
    double = tenths.batch(0, 1, dtype=torch.float64).inputs["x"]
    assert torch.equal(double, tenths.batch(0, 1).inputs["x"].double())


@pytest.mark.parametrize(("name", "count"), [("vit_digits", 1797), ("imu_motions", 80)])
def test_real_data_has_the_shape_its_net_says(name: str, count: int) -> None:
    spec = catalog.spec(name)
    assert spec.dataset is not None
    assert spec.dataset.num_samples == count
    inputs, targets = spec.dataset.arrays
    assert {key: array.shape[1:] for key, array in inputs.items()} == {
        key: tensor.shape for key, tensor in spec.inputs.items()
    }
    for task, tensor in spec.targets.items():
        assert set(targets[task].tolist()) == set(range(tensor.bound))
