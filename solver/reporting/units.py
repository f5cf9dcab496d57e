"""Units: figures in the words people use; the only place where SI base units become others."""

from __future__ import annotations

import math
from collections.abc import Sequence

NONE = "–"
"""What a table shows where there is no figure."""


def digits(value: float, num: int = 3) -> str:
    """Return a number with so many significant digits, never with an exponent.

    Parameters
    ----------
    value
        The number.
    num
        Significant digits; whole digits are all kept.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{num - 1}e}".split("e")[1])
    decimals = max(0, num - 1 - exponent)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals > num else text


def _scaled(value: float, names: Sequence[str], largest: int) -> str:
    """Return a number with the unit that leaves 1 to 999 before it; names go down by thousands."""
    for i, name in enumerate(names):
        scale = 1000.0 ** (largest - i)
        if abs(value) >= 0.9995 * scale:
            return f"{digits(value / scale)} {name}"
    return (
        f"0 {names[0]}"
        if value == 0
        else f"{digits(value / 1000.0 ** (largest + 1 - len(names)))} {names[-1]}"
    )


def seconds(value: float) -> str:
    """Return a time."""
    return _scaled(value, ("s", "ms", "µs"), 0)


def size(value: float) -> str:
    """Return a number of bytes."""
    return f"{value:.0f} B" if abs(value) < 999.5 else _scaled(value, ("TB", "GB", "MB", "kB"), 4)


def rate(bytes_per_s: float) -> str:
    """Return the rate of a link, in bits as links are sold."""
    return _scaled(bytes_per_s * 8, ("Gbit/s", "Mbit/s", "kbit/s", "bit/s"), 3)


def energy(joule: float) -> str:
    """Return an energy."""
    return _scaled(joule, ("MJ", "kJ", "J", "mJ"), 2) if joule else "0 J"


def grams(value: float) -> str:
    """Return a mass."""
    return _scaled(value, ("kg", "g", "mg", "µg"), 1) if value else "0 g"


def span(seconds_: float) -> str:
    """Return a long time: seconds, minutes, hours or days."""
    for name, size_s, least in (("days", 86400.0, 2.0), ("h", 3600.0, 2.0), ("min", 60.0, 2.0)):
        if seconds_ >= least * size_s:
            return f"{digits(seconds_ / size_s)} {name}"
    return seconds(seconds_)


def operations(flop: float, per: str = "") -> str:
    """Return floating-point operations, or their rate with ``per="/s"``."""
    names = tuple(f"{prefix}flop{per}" for prefix in ("P", "T", "G", "M", "k", ""))
    return _scaled(flop, names, 5) if flop else f"0 flop{per}"


def percent(part: float, sign: bool = False) -> str:
    """Return a part of 1 in per cent.

    Parameters
    ----------
    part
        The part.
    sign
        Whether a plus is shown.
    """
    value = 100 * part
    text = f"{value:+.1f}" if sign else f"{value:.1f}" if abs(value) < 10 else f"{value:.0f}"
    return f"{text} %"


def difference(measured: float, predicted: float) -> str:
    """Return how much a measured figure is above its prediction."""
    return percent(measured / predicted - 1, sign=True) if predicted else NONE
