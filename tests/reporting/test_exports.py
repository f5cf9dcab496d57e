import csv
import io
import json

import pytest

from models.errors import InputError
from solver.reporting.exports import FORMATS, export
from tests.reporting.cases import EVIL, example, measured


def test_formats() -> None:
    assert set(FORMATS) == {"json", "chrome", "html", "dot", "csv"}
    with pytest.raises(InputError, match="no format 'pdf'; there are: json, chrome, html, dot, csv"):
        export(*example(), to="pdf")


@pytest.mark.parametrize("to", ["json", "chrome"])
def test_json_formats_are_valid(to: str) -> None:
    case = example()
    found = json.loads(export(*case, to=to, measured=measured(case[3])))
    assert set(found) >= ({"plan", "report", "measured"} if to == "json" else {"traceEvents"})


def test_csv_has_every_instruction() -> None:
    case = example()
    report = case[3]
    rows = list(csv.DictReader(io.StringIO(export(*case, to="csv", measured=measured(report)))))
    assert len(rows) == len(report.program)
    assert rows[0]["device"] == "dev0" and rows[0]["kind"] == "forward"
    assert [float(row["end_s"]) for row in rows] == report.timeline.end_s.tolist()
    assert all(row["measured_start_s"] for row in rows)


def test_dot_draws_stages_and_bytes() -> None:
    text = export(*example(), to="dot")
    assert 's0_0 -> s0_1 [label="80.0 kB"];' in text
    assert "dev0: 5 samples\\ndev1: 3 samples" in text


def test_dot_quotes_names() -> None:
    text = export(*example(name=EVIL, prefix='"];'), to="dot")
    assert '\\"];0' in text and '"];0' not in text.replace('\\"];0', "")


def test_html_is_the_page() -> None:
    assert export(*example(), to="html").startswith("<!DOCTYPE html>")
