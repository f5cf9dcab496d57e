"""Tensors drawn in these tests are the same in every run."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed torch's own generator before each test."""
    torch.manual_seed(0)
