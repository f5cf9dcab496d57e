"""Rounds of local steps, executed: losses, weights, bytes and memory of the same training in one process."""

from __future__ import annotations

import pytest

from models.errors import InputError
from solver.execution.passes.rounds import samples_of
from solver.execution.reference import relative_difference, undivided
from solver.execution.rounds_reference import local_rounds
from solver.execution.support import check_executable
from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from tests.execution import plans
from tests.execution.test_run import FOUR, VIT, assert_transparent, execute

STAR = {"every": 2, "topology": "star", "server": "c"}
LORA = {"tune": "lora", "lora_rank": 4, "lora_alpha": 8, "trained": ["head"]}
DOUBLE = {"optimizer": "adamw", "precision": "fp64"}


def test_uneven_clients_of_a_server_that_trains_nothing(pool: LocalPool) -> None:
    result = execute(plans.data_plan(sync={**STAR, "every": 3}), pool, steps=6)
    assert_transparent(result)
    assert len(result.trace.step_times_s) == 2, "one time a round"


def test_the_server_may_be_a_client(pool: LocalPool) -> None:
    result = execute(plans.data_plan(sync={**STAR, "server": "a"}, **DOUBLE), pool, steps=4)
    assert_transparent(result, 1e-10)
    trained = sum(2 * block.weight_bytes for block in VIT.blocks)
    assert result.traffic() == {("b", "a"): trained, ("a", "b"): trained}


def test_copies_of_stages_train_on_the_samples_they_have_computed(pool: LocalPool) -> None:
    assert_transparent(execute(plans.hybrid_plan(sync={**STAR, "every": 3}), pool, steps=3))


def test_split_federated_clients_share_what_the_server_trains(pool: LocalPool) -> None:
    """Clients of 3 and 2 samples each have the first blocks; the rest has one copy, on the server."""
    names = plans.VIT
    one = plans.pipeline(2, 3, (names[:4], {"a": 3}), (names[4:], {"c": 3}))
    two = plans.pipeline(1, 2, (names[:4], {"b": 2}), (names[4:], {"c": 2}))
    assert_transparent(execute(plans.plan([one, two], sync=STAR), pool, steps=4))


@pytest.mark.parametrize(
    ("rule", "server", "rank"), [("fedavg", "c", 4), ("zero_pad", "c", 2), ("stack", "b", 2), ("ffa", "c", 2)]
)
def test_adapters_are_aggregated_by_every_rule(rule: str, server: str, rank: int, pool: LocalPool) -> None:
    devices = {"b": {"rank": rank}}
    plan = plans.data_plan(sync={**STAR, "server": server, "rule": rule}, devices=devices, **LORA, **DOUBLE)
    assert_transparent(execute(plan, pool, steps=6), 1e-10)


def test_a_server_counts_samples_and_not_micro_batches() -> None:
    found = samples_of(lower(plans.hybrid_plan(sync=STAR), VIT, FOUR))
    assert found[plans.VIT[0]] == {"a": 10, "b": 6} and found[plans.VIT[-1]] == {"c": 4, "d": 12}


def test_one_client_trains_as_if_undivided() -> None:
    plan = plans.plan([plans.pipeline(2, 4, (plans.VIT, {"a": 4}))], sync=STAR)
    losses, weights = local_rounds(plan, VIT, 2, 0, None)
    same_losses, same_weights = undivided(plan, VIT, 2, 0, None)
    assert losses == pytest.approx(same_losses, rel=1e-6)
    assert relative_difference(weights, same_weights) < 1e-6


def test_a_run_has_whole_rounds(pool: LocalPool) -> None:
    with pytest.raises(InputError, match="rounds have 2 steps"):
        execute(plans.data_plan(sync=STAR), pool, steps=3)


def test_fedavg_averages_adapters_of_one_rank() -> None:
    plan = plans.data_plan(sync=STAR, devices={"b": {"rank": 2}}, **LORA)
    with pytest.raises(InputError, match="zero_pad, stack or ffa") as caught:
        check_executable(plan, VIT, FOUR)
    assert [fault.path for fault in caught.value.faults] == ["devices.b.rank"]
