"""The parts of an elastic run, one by one."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path

import pytest
import torch

from models import catalog
from solver.execution.elastic.desk import Desk
from solver.execution.elastic.gate import Gate, GatedTransport
from solver.execution.elastic.line import Line
from solver.execution.elastic.snapshot import Snapshot
from solver.execution.elastic.story import Change, Event, Story
from solver.execution.elastic.strikes import KINDS, schedule
from solver.execution.elastic.traffic import Traffic
from solver.execution.network.transport import LinkError
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.reporting.elastic import FILE, elastic_page
from tests.execution import plans


def trained(replica: Replica, steps: int) -> None:
    for step in range(steps):
        for weight in replica.trained_weights():
            weight.grad = torch.full_like(weight, 0.1 * (step + 1))
        replica.update()


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_snapshot_takes_the_latest_step_back(optimizer: str) -> None:
    def fresh() -> Replica:
        plan = plans.chain_plan(optimizer=optimizer)
        return Replica(Tuning.of(plan, catalog.workload("vit_digits")), Held.whole(plans.VIT[:2]), 0, None)

    once, again = fresh(), fresh()
    snapshot = Snapshot()
    snapshot.take(again, 0)
    trained(again, 1)
    snapshot.take(again, 1)
    trained(again, 2)
    snapshot.restore(again)
    trained(once, 1)
    assert all(
        torch.equal(a, b) for a, b in zip(once.trained_weights(), again.trained_weights(), strict=True)
    )
    trained(once, 1)
    trained(again, 1)
    assert all(
        torch.equal(a, b) for a, b in zip(once.trained_weights(), again.trained_weights(), strict=True)
    )
    slots = {"sgd": 1, "momentum": 2, "adamw": 3}[optimizer]
    weights = sum(weight.numel() * 4 for weight in once.trained_weights())
    assert snapshot.num_bytes == pytest.approx(slots * weights, rel=0.01)


def test_before_the_first_update_the_optimizer_has_no_state() -> None:
    plan = plans.chain_plan(optimizer="adamw")
    replica = Replica(Tuning.of(plan, catalog.workload("vit_digits")), Held.whole(plans.VIT[:1]), 0, None)
    snapshot = Snapshot()
    snapshot.take(replica, 0)
    trained(replica, 1)
    snapshot.restore(replica)
    assert replica.optimizer is not None
    assert not any(replica.optimizer.state.get(weight) for weight in replica.trained_weights())


def test_nothing_passes_a_shut_gate() -> None:
    gate = Gate()
    transport = GatedTransport(("a", "b"), "a", 1.0, None, gate, Traffic())
    gate.shut()
    threading.Timer(0.1, gate.open).start()
    with pytest.raises(LinkError, match="silent"):
        transport.receive("b", 1, torch.empty(1))
    assert not gate.wait()


def test_desk_hears_members_and_the_end_of_their_lines() -> None:
    desk = Desk()
    try:
        line = Line.to(desk.host, desk.port)
        line.send({"hello": "a", "text": "x" * 100_000})
        device, _, message = desk.listen(5.0) or ("", None, None)
        assert device == "a"
        assert message is not None
        assert len(message["text"]) == 100_000
        line.close()
        assert (desk.listen(5.0) or ("", None, {}))[2] is None
        with socket.create_connection((desk.host, desk.port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert (desk.listen(5.0) or ("?", None, {}))[::2] == ("", None)
    finally:
        desk.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((desk.host, desk.port))


def test_schedule_has_every_kind_and_never_two_devices_away() -> None:
    found = schedule(("a", "b", "c", "d"), 200, every=20, back_after=8, step_s=3.0, seed=7)
    assert found == schedule(("a", "b", "c", "d"), 200, every=20, back_after=8, step_s=3.0, seed=7)
    assert found != schedule(("a", "b", "c", "d"), 200, every=20, back_after=8, step_s=3.0, seed=8)
    assert {strike.kind for strike in found} == set(KINDS)
    assert {strike.device for strike in found} == {"a", "b", "c", "d"}
    assert all(b.step - a.step > 8 for a, b in itertools.pairwise(found))
    assert all(strike.step + 8 < 200 and 0 < strike.delay_s < 3 for strike in found)


def story() -> Story:
    change = Change(
        generation=2,
        events=[Event("lost", "a", "its process <ended>", 3, 0.5)],
        step=3,
        steps_lost=0,
        in_flight_lost=True,
        how="light",
        candidates=[{"how": "light", "step_s": 2.0, "move_s": 0.1, "planning_s": 0.1, "cost_s": 9.0}],
        step_s_before=1.0,
        step_s_after=2.0,
        stop_s=0.1,
        replan_s=0.1,
        move_s=0.1,
        resume_s=0.3,
        moved_bytes=1000,
        plan_before={"pipelines": []},
        plan_after={"pipelines": [1]},
    )
    return Story(
        [change], {"a": 2}, [3.0, 2.0, 1.0], [1.0] * 3, [1.0, 1.0, 2.0], [2, 2, 1], wall_s=10.5, dilation=2
    )


def test_throughput_kept_is_predicted_time_over_wall_time_without_detection() -> None:
    assert story().throughput_kept == pytest.approx(2 * 4.0 / (10.5 - 0.5))


def test_steps_taken_back_do_not_count() -> None:
    found = story()
    found.take_back(0)
    assert found.losses == [3.0, 2.0, 1.0]
    found.take_back(2)
    assert found.losses == [3.0]
    assert found.predicted_s == [1.0]


def test_outline_holds_no_measured_time() -> None:
    first, second = story(), story()
    second.changes[0].resume_s = second.changes[0].stop_s = 99.0
    second.changes[0].events[0].detect_s = 99.0
    assert first.outline() == second.outline()


def test_page_shows_what_happened(tmp_path: Path) -> None:
    from models.document import dump_json

    data = story().to_json() | {"max_relative_loss_difference": 1e-8, "max_relative_weight_difference": 1e-9}
    (tmp_path / FILE).write_text(dump_json(data))
    page = elastic_page(tmp_path)
    assert "a lost: its process &lt;ended&gt;; 1 step repeated" in page
    assert "80.0% of the predicted throughput was kept" in page
    assert "2 from a" in page
