"""Synthetic chains and clusters: seeded, sound, of the size asked for."""

from __future__ import annotations

import numpy as np
import pytest

from models.synthetic import random_chain, random_cluster, transformer_chain, unequal_switch


def test_the_same_seed_draws_the_same() -> None:
    assert transformer_chain(6, seed=3) == transformer_chain(6, seed=3) != transformer_chain(6, seed=4)
    assert unequal_switch(4, 1e9, seed=3) == unequal_switch(4, 1e9, seed=3) != unequal_switch(4, 1e9, seed=4)


def test_memory_is_shared_out_whole_and_unequally() -> None:
    memories = [device.memory_bytes.value for device in unequal_switch(8, 1e9).devices]
    assert sum(memories) == pytest.approx(1e9)
    assert max(memories) > 1.5 * min(memories)


@pytest.mark.parametrize("links", ["switch", "shared", "pairs", "rooms"])
def test_random_clusters_reach_everyone(links: str) -> None:
    for num in (1, 2, 3, 5):
        cluster = random_cluster(np.random.default_rng(num), num, links)
        assert len(cluster.links_by_pair) == num * (num - 1)


def test_some_block_of_a_random_chain_is_trained() -> None:
    for seed in range(50):
        workload = random_chain(np.random.default_rng(seed), 1 + seed % 6)
        assert workload.is_chain and not all(block.frozen for block in workload.blocks)
