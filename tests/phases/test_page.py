"""The page of all phases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from solver.phases.page import _run


def test_the_command_that_trains_again_has_every_word_the_training_had() -> None:
    trace: Any = SimpleNamespace(mode="padded", dilation=2.5, learning_rate=0.02)
    begin = "partage run 3_plan.json --deployment 4_deployment --mode"
    assert _run(trace, 12) == f"{begin} padded --steps 12 --dilation 2.5 --learning-rate 0.02"
    trace = SimpleNamespace(mode="raw", dilation=1.0, learning_rate=None)
    assert _run(trace, 3) == f"{begin} raw --steps 3"
