"""The plot of a front: round ticks, and points that are links."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from solver.reporting.svg_front import Axis, Point, front_figure


def words(value: float) -> str:
    return f"{value:g}"


def drawn(points: list[Point], *, is_stepped: bool = True) -> ET.Element:
    return ET.fromstring(front_figure(points, ("time", "energy"), (words, words), is_stepped=is_stepped))


TWO = [Point(2.0, 5.0, "plan_02", "2", "second"), Point(1.0, 9.0, "plan_01", "1", "<first>")]


def test_points_are_links_to_their_plans_in_the_order_of_the_front() -> None:
    links = drawn(TWO).findall("a")
    assert [link.get("href") for link in links] == ["#plan_01", "#plan_02"]
    assert [link.get("aria-label") for link in links] == ["<first>", "second"]
    assert [link.findtext("title") for link in links] == ["<first>", "second"]


def test_smaller_figures_lie_left_and_low() -> None:
    first, second = (link.findall("circle")[-1] for link in drawn(TWO).findall("a"))
    assert float(first.get("cx", "")) < float(second.get("cx", ""))
    assert float(first.get("cy", "")) < float(second.get("cy", ""))  # y grows downwards in SVG


def test_a_line_of_steps_joins_the_points_of_two_objectives_only() -> None:
    assert len(drawn(TWO).findall("path")) == 1
    assert drawn(TWO, is_stepped=False).findall("path") == []
    assert drawn(TWO[:1]).findall("path") == []


@pytest.mark.parametrize(
    ("values", "ticks"), [((0.0, 10.0), [0, 2, 4, 6, 8, 10]), ((1.0, 2.0), [1, 1.2, 1.4, 1.6, 1.8, 2])]
)
def test_ticks_are_round(values: tuple[float, ...], ticks: list[float]) -> None:
    assert Axis(values, 0.0, 100.0).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_one_value_alone_has_an_axis_around_it(value: float) -> None:
    axis = Axis([value], 0.0, 100.0)
    assert 0 <= axis.place(value) <= 100 and axis.ticks()
