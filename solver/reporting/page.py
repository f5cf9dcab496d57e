"""Page: one self-contained HTML file, and its sections; what all pages have in common."""

from __future__ import annotations

from pathlib import Path
from string import Template

from solver.reporting.markup import Child, Markup, join, tag

FOLDER = Path(__file__).parent


def page(heading: str, parts: Child, *, style: str = "", script: str = "") -> str:
    """Return a page that needs no network: style and script are inside, and its policy forbids every request.

    Parameters
    ----------
    heading
        Its title.
    parts
        What is on it.
    style, script
        Beside the style that all pages have.
    """
    return Template((FOLDER / "report.html").read_text(encoding="utf-8")).substitute(
        title=tag("title", heading),
        style=(FOLDER / "report.css").read_text(encoding="utf-8") + style,
        script=script,
        body=join([parts]),
    )


def section(name: str, about: str, body: Child) -> Markup:
    """Return a part of a page with its heading, and a sentence or two if there are any."""
    identity = name.lower().replace(" ", "-").replace(":", "")
    note = tag("p", about, class_="about") if about else None
    return tag("section", tag("h2", name, id=identity), note, body, aria_labelledby=identity)
