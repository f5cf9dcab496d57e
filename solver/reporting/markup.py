"""Markup: HTML and SVG built from parts, so that every text from a document is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

Child: TypeAlias = "str | float | Iterable[Child] | None"


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """Return one element; texts among its children and attributes are escaped.

    Parameters
    ----------
    name
        Name of the element.
    children
        Elements, texts, numbers, or sequences of them; ``None`` is left out.
    attributes
        ``class_`` becomes ``class`` and ``stroke_width`` becomes ``stroke-width``; ``None`` is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Return children one after the other, texts escaped."""
    return Markup("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return escape(_text(child))
    return join(child)


def _text(value: str | float) -> str:
    """Return a text as it is, a number with at most two decimals."""
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def figure(name: str, description: str, *children: Child, **attributes: str | float | None) -> Markup:
    """Return an SVG that says to everybody what it shows.

    Parameters
    ----------
    name, description
        Its title, and a sentence with the main figures, for those who do not see it.
    children, attributes
        As in :func:`tag`.
    """
    told = (tag("title", name), tag("desc", description))
    return tag("svg", *told, *children, role="img", aria_label=f"{name}. {description}", **attributes)


def embedded(identity: str, data: object) -> Markup:
    """Return data for the script of the page, as JSON that cannot end its element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(f'<script type="application/json" id="{identity}">{text}</script>')
