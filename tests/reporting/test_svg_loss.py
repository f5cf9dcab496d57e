"""The curve of losses: gaps where a loss is no number, and a line where devices changed."""

from __future__ import annotations

import math
import re

from solver.reporting.measured import Measured, numbers
from solver.reporting.svg_loss import loss_figure


def paths(text: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)"', text)


def test_a_loss_that_is_no_number_parts_the_curve() -> None:
    losses = numbers([4.0, None, 2.0, 1.0])
    assert math.isnan(losses[1])
    drawing = loss_figure(Measured("padded", losses=losses))
    (path,) = paths(drawing)
    assert path.count("M") == 2 and path.count("L") == 1  # 4 alone, then 2 to 1
    assert drawing.count("<circle") == 3
    assert "nan" not in path


def test_without_any_number_there_is_no_curve() -> None:
    drawing = loss_figure(Measured("padded", losses=(math.nan, math.inf)))
    assert paths(drawing) == [] and "<circle" not in drawing


def test_steps_before_which_devices_changed_are_marked() -> None:
    drawing = loss_figure(Measured("elastic", losses=(3.0, 2.0, 1.0), changes={2: "a lost"}))
    assert "before step 3: a lost" in drawing and "devices changed" in drawing
    assert "devices changed" not in loss_figure(Measured("elastic", losses=(3.0, 2.0)))
