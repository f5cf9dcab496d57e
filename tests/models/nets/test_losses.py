"""Losses are sums over samples."""

from __future__ import annotations

import math

import torch

from models.nets.losses import contrastive, cross_entropy


def test_uniform_logits_cost_log_of_classes_a_sample() -> None:
    loss = cross_entropy("digit")
    assert math.isclose(
        loss(torch.zeros(3, 10), torch.tensor([0, 4, 9])).item(), 3 * math.log(10), rel_tol=1e-6
    )


def test_tokens_are_averaged_within_a_sample() -> None:
    loss = cross_entropy("next_token")
    value = loss(torch.zeros(3, 5, 10), torch.zeros(3, 5, dtype=torch.int64)).item()
    assert math.isclose(value, 3 * math.log(10), rel_tol=1e-6)


def test_contrastive_prefers_its_own_pair() -> None:
    loss = contrastive("match")
    own = 20 * torch.eye(4).unsqueeze(1).repeat(1, 2, 1)
    other = torch.stack([own[:, 0], own[:, 1].roll(1, 0)], dim=1)
    target = torch.zeros(4, dtype=torch.int64)
    assert loss(own, target) < 1e-6 < loss(other, target)
