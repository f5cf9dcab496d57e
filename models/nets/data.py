"""Data sets as deterministic mini-batches: every process draws the identical whole batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Arrays = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


class Batch(NamedTuple):
    """One mini-batch.

    Parameters
    ----------
    inputs
        Raw tensors by modality, each [samples, ...].
    targets
        Targets by task, each [samples, ...].
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]


@dataclass(frozen=True)
class Dataset:
    """A data set that fits in memory.

    Parameters
    ----------
    name
        Name of the data set.
    load
        Returns all inputs by modality and all targets by task, each an array (num_samples, ...).
    """

    name: str
    load: Callable[[], Arrays]

    @cached_property
    def arrays(self) -> Arrays:
        """Everything, loaded at first use."""
        return self.load()

    @property
    def num_samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.arrays[0].values())))

    def indices(self, step: int, size: int, seed: int = 0) -> np.ndarray:
        """Return which samples a step draws: each epoch is a new shuffle, steps follow one another in it.

        Parameters
        ----------
        step
            Number of the step, from 0.
        size
            Samples per step.
        seed
            Seed of the shuffles.

        Returns
        -------
        ndarray
            (size,), positions in the data set.
        """
        count = self.num_samples
        positions = np.arange(step * size, (step + 1) * size)
        shuffles = {
            epoch: np.random.default_rng([seed, epoch]).permutation(count)
            for epoch in range(int(positions[0]) // count, int(positions[-1]) // count + 1)
        }
        return np.array([shuffles[position // count][position % count] for position in positions.tolist()])

    def batch(self, step: int, size: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
        """Return the whole mini-batch of a step.

        Parameters
        ----------
        step
            Number of the step, from 0.
        size
            Samples per step.
        seed
            Seed of the shuffles.
        dtype
            Number format of what is not an index.

        Notes
        -----
        Raw data are kept in single precision, so they are the same in every wider format.
        """
        chosen = self.indices(step, size, seed)
        inputs, targets = self.arrays
        return Batch(
            {name: _tensor(array[chosen], dtype) for name, array in inputs.items()},
            {name: _tensor(array[chosen], dtype) for name, array in targets.items()},
        )


def _tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.to(torch.float32).to(dtype) if tensor.is_floating_point() else tensor.to(torch.int64)
