"""Times of blocks: what is timed, and what a time limit leaves out; never how long anything took."""

from models.nets import catalog
from models.nets.timing import time_net


def test_every_block_at_every_size():
    spec = catalog.spec("imu_motions")
    seen = []
    found = time_net(spec, (1, 3), rounds=2, progress=lambda done, total: seen.append((done, total)))
    names = [block.name for block in spec.blocks]
    assert {size: list(table) for size, table in found.times.items()} == {1: names, 3: names}
    assert all(one.rounds == 2 for table in found.times.values() for one in table.values())
    assert all(one.forward_s > 0 for table in found.times.values() for one in table.values())
    assert seen[-1] == (2 * len(names), 2 * len(names))
    assert found.update_bytes_per_s > 0
    start, end = found.busy
    assert start < end


def test_when_time_is_up_the_first_size_is_whole_and_larger_ones_are_left_out():
    spec = catalog.spec("cnn_digits")
    found = time_net(spec, (1, 2), rounds=5, time_limit_s=0)
    assert list(found.times) == [1]
    assert len(found.times[1]) == len(spec.blocks)
    assert {one.rounds for one in found.times[1].values()} == {1}


def test_steady_work_lasts_as_long_as_asked_and_is_the_busy_span():
    found = time_net(catalog.spec("imu_motions"), (1,), rounds=1, steady_s=0.3)
    start, end = found.busy
    assert end - start >= 0.3
