import json

from solver.reporting.markup import Markup, embedded, figure, join, tag


def test_texts_and_attributes_are_escaped() -> None:
    made = tag("p", "<b>&", tag("i", "x"), 1.50, None, ["a", "<"], title='"><script>', stroke_width=2)
    assert made == ('<p title="&quot;&gt;&lt;script&gt;" stroke-width="2">&lt;b&gt;&amp;<i>x</i>1.5a&lt;</p>')


def test_only_markup_is_left_alone() -> None:
    assert join([Markup("<hr>"), "<hr>"]) == "<hr>&lt;hr&gt;"


def test_figures_say_what_they_show() -> None:
    made = figure("Memory", "a: 3 B", tag("rect"))
    assert "<title>Memory</title><desc>a: 3 B</desc>" in made
    assert 'role="img"' in made and 'aria-label="Memory. a: 3 B"' in made


def test_embedded_data_cannot_end_its_element() -> None:
    data = {"name": "</script><!--&\u2028"}
    made = embedded("data", data)
    inside = made[made.index(">") + 1 : made.rindex("<")]
    assert not set("<>&\u2028") & set(inside)
    assert json.loads(inside) == data
