"""Words: every fault of what a person says, whatever else is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from models.errors import InputError
from solver import api

HERE = {"workload": "vit_digits", "cluster": "four_boards"}


def faults(**words: Any) -> list[str]:
    """Places of the faults of a problem that has some."""
    with pytest.raises(InputError) as caught:
        api.problem(**{**HERE, **words})
    return [fault.path for fault in caught.value.faults]


def test_words_of_the_job_do_not_hide_those_of_the_problem() -> None:
    found = faults(
        power_modes="fre", left_out="of", objective="enrgy", deadline_s=-1, batch=0, optimizer="foo"
    )
    assert found == ["job.batch", "job.optimizer", "job.deadline_s", "objective", "left_out", "power_modes"]


def test_numbers_that_cannot_be_read_do_not_hide_names_that_are_none() -> None:
    found = faults(at_most=("energy=abc", "foo=1"), frozen=("nosuchblock",), lora_rank=3)
    assert found == ["job", "at_most", "at_most.foo", "job.frozen.0"]


def test_a_word_of_the_job_does_not_hide_what_its_words_say_together() -> None:
    assert faults(optimizer="foo", lora_rank=3) == ["job.optimizer", "job"]


def test_without_a_cluster_the_other_words_are_judged() -> None:
    assert faults(cluster=None, schedule="fast", micro_batches=3) == [
        "cluster",
        "schedule",
        "num_micro_batches",
    ]


def test_weights_that_cannot_be_read_are_told_once() -> None:
    assert faults(objective="time:x", at_most=("time=-1",)) == ["objective", "at_most.time"]
    assert faults(objective="time:x,enrgy:1", batch=0) == ["job.batch", "objective", "weights.enrgy"]


def test_a_sound_job_does_not_hide_that_blocks_and_counts_are_wrong_beside_a_limit() -> None:
    found = faults(at_most=("energy",), micro_batches=3, frozen=("nosuchblock",))
    assert found == ["at_most", "num_micro_batches", "job.frozen.0"]
