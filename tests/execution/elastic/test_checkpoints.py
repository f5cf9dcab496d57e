"""Elastic runs write checkpoints whoever leads, end well when they are stopped, and go on from them."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from solver.execution.elastic.run import ElasticResult, run_elastic
from solver.execution.elastic.strikes import Strike
from solver.execution.state.checkpoint import Checkpoint
from tests.execution import plans
from tests.execution.elastic.test_faults import THREE, VIT, chain

EXACT = {"optimizer": "adamw", "precision": "fp64"}


def train(out: Path, *strikes: Strike, **rest: Any) -> ElasticResult:
    words = {"mode": "padded", "dilation": 1.0, "checkpoint_every": 2, "out": out} | rest
    return run_elastic(chain(**EXACT), VIT, THREE, strikes=strikes, **words)


def steps_in(out: Path) -> list[int]:
    return [Checkpoint.open(one).manifest.about.step for one in sorted((out / "checkpoints").glob("step-*"))]


def test_checkpoints_go_on_after_the_writer_died_and_a_run_resumes_from_them(tmp_path: Path) -> None:
    first = train(tmp_path / "one", Strike(3, "a", "kill", back_after=None), steps=6, reference=False)
    assert [one["step"] for one in first.story.checkpoints] == [2, 4, 6]
    assert steps_in(tmp_path / "one") == [2, 4, 6]
    about = Checkpoint.open(tmp_path / "one").manifest.about
    assert list(about.losses) == first.story.losses
    second = train(
        tmp_path / "two", Strike(7, "b", "kill", back_after=None), steps=9, resume=tmp_path / "one"
    )
    assert second.first_step == 6
    assert len(second.story.losses) == len(second.reference_losses) == 3
    assert [one["step"] for one in second.story.checkpoints] == [8]
    assert second.max_relative_loss_difference is not None
    assert second.max_relative_loss_difference <= 1e-9
    assert second.max_relative_weight_difference is not None
    assert second.max_relative_weight_difference <= 1e-9


def test_the_first_interrupt_ends_an_elastic_run_with_a_checkpoint(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def hear(event: dict[str, Any]) -> None:
        told.append(event)
        if event.get("step") == 1 and "loss" in event:
            signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, steps=50, on_event=hear, checkpoint_every=0)
    (step,) = steps_in(tmp_path)
    assert 2 <= step < 50
    assert sum("loss" in event for event in told) == step
    assert any("ending" in event for event in told)


def test_faults_of_the_words_are_listed_together(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run_elastic(
            plans.plan([plans.pipeline(2, 4, (plans.VIT, {"a": 4}))]), VIT, THREE, steps=0, checkpoint_every=2
        )
    assert {fault.path for fault in error.value.faults} == {"steps", "checkpoint_every"}
