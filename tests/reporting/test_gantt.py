import pytest

from solver.evaluate import evaluate
from solver.reporting.gantt import MOST_SPANS, UNIT, gantt
from tests.reporting.cases import cluster, example, hybrid, measured, plan, workload


def test_bars_lie_below_one_another_predicted_over_measured() -> None:
    _, _, _, report = example()
    chart = gantt(report, measured(report))
    assert all(a.top + a.height < b.top for a, b in zip(chart.bars, chart.bars[1:], strict=False))
    sources = [bar.source for bar in chart.bars if bar.device == "dev0"]
    assert sources == ["predicted"] * 3 + ["measured"] * 3
    assert not chart.note


def test_spans_keep_their_place_on_the_axis() -> None:
    _, _, _, report = example()
    chart = gantt(report, None)
    last = max(start + length for bar in chart.bars for _, start, length, _, _ in bar.spans)
    assert chart.span_s == report.round_time_s and last == UNIT


def test_a_huge_program_is_thinned_and_says_so() -> None:
    what, where = workload(), cluster()
    made = plan(what, where, list(hybrid(what, where).pipelines[0].stages), micro_batches=600)
    report = evaluate(made, what, where)
    chart = gantt(report, None)
    assert "too many to draw" in chart.note
    assert sum(len(bar.spans) for bar in chart.bars) <= MOST_SPANS
    computing = next(bar for bar in chart.bars if bar.device == "dev0")
    drawn = sum(span[2] for span in computing.spans) / UNIT * chart.span_s
    assert drawn == pytest.approx(report.busy_s["dev0"], rel=0.1)
