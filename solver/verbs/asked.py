"""Flags that say a problem, the same for all verbs that plan.

A verb takes them as one argument ``asked``; :func:`asks_problem` gives it their flags::

    @asks_problem
    def plan(asked: Asked, out: Annotated[Path, typer.Option(...)], ...) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from solver.asked import Asked


def _words(
    workload: Annotated[str | None, typer.Option(help="Catalogue name or path.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Catalogue name or path.")] = None,
    participants: Annotated[
        Path | None,
        typer.Option(
            help="File of the verb participants: only those may take part; it says what is not said."
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="time, bottleneck, energy, carbon, memory, traffic, untrusted, or time:1,energy:0.1."
        ),
    ] = "time",
    at_most: Annotated[
        list[str] | None, typer.Option(help="Largest figure of an objective, as energy=12; repeat.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Samples of a step.")] = 16,
    micro_batches: Annotated[int | None, typer.Option(help="Micro-batches of a step.")] = None,
    schedule: Annotated[str, typer.Option(help="1f1b or gpipe.")] = "1f1b",
    left_out: Annotated[str, typer.Option(help="What left-out devices do: idle, sleep or off.")] = "idle",
    power_modes: Annotated[str, typer.Option(help="own, or free: solvers choose power modes.")] = "own",
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or adamw.")] = "sgd",
    precision: Annotated[str, typer.Option(help="fp32, fp64, bf16 or fp16.")] = "fp32",
    tune: Annotated[str, typer.Option(help="full or lora.")] = "full",
    lora_rank: Annotated[int | None, typer.Option()] = None,
    frozen: Annotated[list[str] | None, typer.Option(help="Block that is not trained; repeat.")] = None,
    deadline: Annotated[float | None, typer.Option(help="Longest step accepted, seconds.")] = None,
    energy_budget: Annotated[
        float | None, typer.Option(help="Most energy of a step accepted, joule.")
    ] = None,
    carbon_budget: Annotated[float | None, typer.Option(help="Most grams CO2e of a step accepted.")] = None,
    untrusted_limit: Annotated[
        int | None, typer.Option(help="Most bytes of a step that may go to less trusted devices.")
    ] = None,
    training_steps: Annotated[
        int | None, typer.Option(help="Steps of the whole training: batteries must last for them.")
    ] = None,
) -> None:
    """Hold names, help and defaults; never called."""


def asks_problem(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the flags of a problem; it gets them as its argument ``asked``.

    Parameters
    ----------
    verb
        A function with an argument ``asked``.
    """
    theirs = list(inspect.signature(_words, eval_str=True).parameters.values())
    mine = inspect.signature(verb, eval_str=True).parameters.values()
    flags = [*theirs, *(one for one in mine if one.name != "asked")]
    place = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    @functools.wraps(verb)
    def with_words(context: typer.Context, **values: Any) -> None:
        words = {one.name: values.pop(one.name) for one in theirs}
        typed = frozenset(name for name in words if _was_typed(context, name))
        verb(asked=Asked(words, typed), **values)

    made: Any = with_words
    made.__signature__ = inspect.Signature([place, *(one.replace(kind=one.KEYWORD_ONLY) for one in flags)])
    made.__annotations__ = {one.name: one.annotation for one in (place, *flags)}
    return with_words


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
