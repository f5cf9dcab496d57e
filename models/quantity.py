"""Quantities: numbers that say where they come from."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from models.document import Document


class Quantity(Document):
    """A number with its origin: measured here, from a source, or an estimate with its reasoning.

    Parameters
    ----------
    value
        The number, SI base unit.
    source
        Where it was measured or published.
    estimate
        Why it is believed, if nobody measured it.
    measured
        How it was measured on this very device.
    """

    value: float = Field(ge=0)
    source: str = ""
    estimate: str = ""
    measured: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.source and self.estimate:
            raise ValueError("a quantity has a source or is an estimate, not both")
        if self.measured and (self.source or self.estimate):
            raise ValueError("a quantity that was measured here has no other origin")
        return self


def _quantity(value: Any) -> Any:
    return {"value": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


Number = Annotated[Quantity, BeforeValidator(_quantity)]
