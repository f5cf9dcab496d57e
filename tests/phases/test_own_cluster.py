"""Own clusters: a file that needs no other one and means the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import catalog
from models.errors import InputError
from solver.phases.own_cluster import this_machine, write_cluster


@pytest.mark.parametrize("name", [entry.name for entry in catalog.entries("clusters")])
def test_a_written_cluster_means_what_was_read(name: str, tmp_path: Path) -> None:
    found = catalog.cluster(name)
    write_cluster(tmp_path / "own.yaml", found)
    again = catalog.cluster(str(tmp_path / "own.yaml"))
    assert again.digest == found.digest
    assert again.devices == found.devices


def test_a_workload_without_a_net_cannot_be_timed() -> None:
    with pytest.raises(InputError, match="--cluster: bert_base names no net that can be timed here"):
        this_machine(catalog.workload("bert_base"), 2)
