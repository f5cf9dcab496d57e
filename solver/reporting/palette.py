"""Palette: one colour per device, the same in every figure of the page; colour-blind safe."""

from __future__ import annotations

from collections.abc import Sequence

from solver.reporting.markup import Markup, tag

NUM_COLOURS = 8
"""Colours of the style sheet (Paul Tol's `light` scheme, made for black text on it)."""


class Palette:
    """Colours of devices; those beyond the eighth are hatched.

    Parameters
    ----------
    devices
        Names, in the order of the cluster.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._place = {name: i for i, name in enumerate(devices)}

    def fill(self, device: str) -> str:
        """Return the ``fill`` attribute of a shape."""
        place = self._place[device]
        return f"var(--d{place})" if place < NUM_COLOURS else f"url(#hatch{place})"

    def plain(self, device: str) -> str:
        """Return its colour without the hatch, to outline a text on it."""
        return f"var(--d{self._place[device] % NUM_COLOURS})"

    def swatch(self, device: str) -> Markup:
        """Return a small coloured square for a text."""
        place = self._place[device]
        look = f"swatch c{place % NUM_COLOURS}" + (" hatched" if place >= NUM_COLOURS else "")
        return tag("span", class_=look, aria_hidden="true")

    def definitions(self) -> Markup:
        """Return the hatches, which the page holds once."""
        hatches = []
        for place in range(NUM_COLOURS, len(self._place)):
            width = 4 + 3 * (place // NUM_COLOURS)
            hatches.append(
                tag(
                    "pattern",
                    tag("rect", width=width, height=width, fill=f"var(--d{place % NUM_COLOURS})"),
                    tag("rect", width=2, height=width, fill="#0005"),
                    id=f"hatch{place}",
                    width=width,
                    height=width,
                    patternUnits="userSpaceOnUse",
                    patternTransform="rotate(45)",
                )
            )
        return tag("svg", tag("defs", hatches), width=0, height=0, class_="defs", aria_hidden="true")
