from __future__ import annotations

from collections.abc import Iterator

import pytest

from solver.execution.workers.pool import LocalPool


@pytest.fixture(scope="session")
def pool() -> Iterator[LocalPool]:
    """Processes that live through all tests; the pool replaces those a test breaks."""
    with LocalPool(silence_s=20.0) as workers:
        yield workers
