import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from solver.evaluate import evaluate
from solver.plan import Stage
from solver.reporting.html_report import html_report
from solver.reporting.measured import Measured
from solver.space import Space
from solver.status import Incumbent, Solution, Status
from tests.reporting.cases import EVIL, cluster, example, measured, plan, random_case, towers, workload

VOID = {"meta", "br", "hr", "img"}


class Page(HTMLParser):
    """Checks that elements are closed in order; collects ids, scripts, references and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("src", "href", "srcset", "data", "action", "poster"):
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def solution() -> Solution:
    return Solution(
        Status.FEASIBLE, "interval_ilp", 7, 1.5, Space(), score=2.0, bound=1.5, reason="time limit",
        incumbents=(Incumbent(0.1, 3.0), Incumbent(0.5, 2.0)),
    )  # fmt: skip


def test_the_page_is_whole_and_asks_for_nothing_outside() -> None:
    made, what, where, report = example()
    text = html_report(made, what, where, report, measured=measured(report), solution=solution())
    page = Page(text)
    assert page.references == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert len(page.ids) == len(set(page.ids))
    assert text.startswith("<!DOCTYPE html>")


def test_every_section_is_there() -> None:
    made, what, where, report = example()
    page = Page(html_report(made, what, where, report, measured=measured(report), solution=solution()))
    for name in (
        "the-cut", "timeline", "cluster-and-traffic", "devices", "memory", "energy", "training",
        "how-good-it-is", "where-the-numbers-come-from", "how-to-get-this-again",
    ):  # fmt: skip
        assert name in page.ids
    for words in (
        "exact", "undivided run", "modelled, not measured", "a third of the peak", "time limit", "25 %",
        "--seed 7", "partage evaluate plan.json", "100 Mbit/s", "tiny source", "measured peak",
    ):  # fmt: skip
        assert words in page.text


def test_without_a_run_nothing_is_said_to_be_measured() -> None:
    made, what, where, report = example()
    page = Page(html_report(made, what, where, report))
    assert "training" not in page.ids and "how-good-it-is" not in page.ids
    for words in ("measured peak", "busy, measured", "Predicted over measured", "undivided run"):
        assert words not in page.text


def test_texts_of_documents_are_escaped() -> None:
    made, what, where, report = example(name=EVIL, prefix=EVIL)
    run = replace(measured(report), failure=EVIL)
    text = html_report(
        made, what, where, report, measured=run, solution=replace(solution(), reason=EVIL), title=EVIL
    )
    page = Page(text)
    assert EVIL not in text
    assert text.count("<script") == 2
    assert page.elements.count("script") == 2
    assert EVIL in page.text


def test_figures_have_title_and_description() -> None:
    made, what, where, report = example()
    text = html_report(made, what, where, report, measured=measured(report))
    images = re.findall(
        r'<svg role="img" aria-label="[^"]+"[^>]*><title>[^<]+</title><desc>[^<]+</desc>|<svg role', text
    )
    assert len(images) >= 10
    assert "<svg role" not in images


def test_violations_and_overruns_stand_out() -> None:
    what, where = workload(), cluster(memory_bytes=1e6)
    made = plan(what, where, [Stage(blocks=what.order, shares={"dev0": 8})], deadline_s=0.1)
    report = evaluate(made, what, where)
    page = Page(html_report(made, what, where, report, measured=measured(report, overruns=4)))
    assert "This plan breaks 2 limits" in page.text
    assert "too much" in page.text and "limits broken" in page.text
    assert "4 operations took this machine longer" in page.text


def test_a_run_that_broke_off_says_so() -> None:
    made, what, where, report = example()
    run = Measured(mode="raw", failure="dev1 died")
    text = Page(html_report(made, what, where, report, measured=run)).text
    assert "The run broke off" in text and "dev1 died" in text and "Raw mode" in text


@pytest.mark.parametrize("num_devices", [1, 3, 16])
def test_an_ordinary_page_is_small(num_devices: int) -> None:
    what, where = workload(num_blocks=96), cluster(num_devices=num_devices)
    size = 96 // num_devices
    stages = [
        Stage(blocks=what.order[i * size : (i + 1) * size], shares={f"dev{i}": 8}) for i in range(num_devices)
    ]
    made = plan(what, where, stages, micro_batches=16)
    report = evaluate(made, what, where)
    assert len(html_report(made, what, where, report, measured=measured(report))) < 500_000


def test_a_huge_page_stays_small() -> None:
    what, where = workload(), cluster()
    stages = [
        Stage(blocks=what.order[:2], shares={"dev0": 8}),
        Stage(blocks=what.order[2:], shares={"dev1": 8}),
    ]
    made = plan(what, where, stages, micro_batches=3000)
    report = evaluate(made, what, where)
    text = html_report(made, what, where, report)
    assert len(text) < 500_000
    assert "too many to draw" in text


def test_a_dag_is_drawn() -> None:
    what, where = towers(), cluster()
    stages = [
        Stage(blocks=("a0", "a1"), shares={"dev0": 8}),
        Stage(blocks=("b0", "b1"), shares={"dev1": 8}),
        Stage(blocks=("trunk",), shares={"dev2": 8}),
    ]
    made = plan(what, where, stages)
    text = html_report(made, what, where, evaluate(made, what, where))
    assert text.count('class="edge crossing"') == 2
    assert "stage 2: " in Page(text).text


@pytest.mark.parametrize("seed", range(20))
def test_random_plans_have_a_page(seed: int) -> None:
    made, what, where, report = random_case(seed)
    text = html_report(made, what, where, report, measured=measured(report))
    assert "nan" not in re.sub(r"<script.*", "", text, flags=re.S).replace("nano", "")
    Page(text)
