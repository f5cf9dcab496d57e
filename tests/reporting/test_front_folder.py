"""A front's folder: its page opens every plan, is made again byte for byte, and says what is damaged."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from models import catalog
from models.errors import InputError
from solver.evaluate import judge
from solver.job import Job
from solver.pareto import Front, FrontPoint
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.reporting.folder import page_of
from solver.reporting.front_folder import front_folder_page, is_front, write_front


class Page(HTMLParser):
    """Identities, links and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.open: list[str] = []
        self.is_sound = True
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.update([given["id"] or ""] if "id" in given else [])
        self.links += [given["href"] or ""] if "href" in given else []
        if tag not in ("meta", "br", "img", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.is_sound &= bool(self.open) and self.open.pop() == tag


def front() -> Front:
    """The laptop alone, and the Xavier NX alone: faster, and cleaner."""
    problem = Problem(catalog.workload("vit_digits"), catalog.cluster("neighbours"), Job(batch=8))
    points = []
    for name in ("laptop", "nx"):
        stage = Stage(blocks=problem.workload.order, shares={name: 8})
        plan = pipeline_plan(problem, [stage], 1)
        report, time_s = judge(problem, plan)
        figures = {"time": time_s, "carbon": report.accounts.total_carbon_g}
        points.append(FrontPoint(plan, report, figures, f"only <{name}>"))
    return Front(("time", "carbon"), tuple(points), 2, 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fronts") / "front"
    write_front(out, front())
    return out


def test_every_point_opens_its_plan(folder: Path) -> None:
    page = Page((folder / "front.html").read_text(encoding="utf-8"))
    assert page.is_sound and not page.open
    assert max(page.ids.values()) == 1
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert Counter(inside) == {"plan_01": 2, "plan_02": 2}  # the point, and the row of the table
    assert set(inside) <= page.ids.keys()
    assert [link for link in page.links if not link.startswith("#")] == ["plan_01.html", "plan_02.html"]
    assert all((folder / name).is_file() for name in ("plan_01.html", "plan_02.html", "front.png"))


def test_texts_of_documents_are_escaped(folder: Path) -> None:
    text = (folder / "front.html").read_text(encoding="utf-8")
    assert "only &lt;laptop&gt;" in text and "<laptop>" not in text


def test_the_page_says_grams_and_batteries(folder: Path) -> None:
    text = (folder / "front.html").read_text(encoding="utf-8")
    assert "CO2e of a step" in text and "Battery life" in text and "nano is empty first" in text


def test_the_page_is_made_again_from_the_folder(folder: Path, tmp_path: Path) -> None:
    assert is_front(folder)
    assert page_of(folder, folder) == (folder / "front.html").read_text(encoding="utf-8")
    elsewhere = Page(page_of(folder, tmp_path))
    assert all(link.startswith("#") for link in elsewhere.links)


def test_files_are_not_replaced_unasked_and_old_plans_go(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "front"
    write_front(out, front())
    with pytest.raises(InputError, match=r"front\.html exists"):
        write_front(out, front())
    (out / "plan_07.json").write_text("{}")
    write_front(out, front(), overwrite=True)
    assert not (out / "plan_07.json").exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"points": []}, "this is no front"),
        ({"objectives": {"time": "s", "magic": "m"}}, "two or more known ones"),
        ({"points": [{"plan": "../plan_01.json"}]}, r"points\.0\.plan: a file of the same folder"),
        ({"points": [{"plan": "plan_01.json", "time": 1, "carbon": "x"}]}, r"points\.0\.carbon"),
        ({"points": [{"plan": "gone.json", "time": 1, "carbon": 1}]}, "gone.json"),
    ],
)
def test_a_damaged_front_is_told(tmp_path: Path, change: dict[str, object], fault: str) -> None:
    out = tmp_path / "front"
    write_front(out, front())
    data = json.loads((out / "front.json").read_text(encoding="utf-8"))
    (out / "front.json").write_text(json.dumps(data | change), encoding="utf-8")
    with pytest.raises(InputError, match=fault):
        front_folder_page(out)
