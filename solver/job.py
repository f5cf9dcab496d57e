"""Job: what is asked of a workload on a cluster, for training or for serving."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from models.document import Document
from models.workload import Precision

MOST_SAMPLES = 10**9
"""Of a step: samples, and bytes of what they take, are counted in whole numbers of compiled code."""

OPTIMIZER_STATES = {"sgd": 0, "momentum": 1, "adamw": 2}
"""Number of state tensors an optimizer keeps beside each trained weight."""

OPTIMIZER_PASSES = {"sgd": 3, "momentum": 5, "adamw": 7}
"""Reads and writes of one trained weight's memory in an update: weight, gradient, states."""


class Job(Document):
    """What is asked.

    Parameters
    ----------
    kind
        ``train``, or ``serve`` (forward only; every micro-batch is a request).
    batch
        Samples of one step over all pipelines; for serving, samples of all requests in the window.
    optimizer
        ``sgd``, ``momentum`` (SGD with momentum) or ``adamw``; decides the optimizer's memory.
    precision
        Number format of weights, activations and optimizer states.
    tune
        ``full``: all weights but the frozen ones; ``lora``: low-rank adapters, all else frozen.
    lora_rank
        Rank of the adapters; a plan may give a device its own.
    lora_alpha
        The product of an adapter is scaled by alpha / lora_rank, as in PEFT; null: alpha is the rank.
    frozen
        Blocks that are not trained.
    trained
        Blocks trained in full beside the adapters, as a task head (``lora`` only).
    deadline_s
        Longest step time (latency, for serving) that is accepted.
    energy_budget_j
        Most energy of a step that is accepted.
    carbon_budget_g
        Most grams CO2e of a step that are accepted.
    steps
        Steps of the whole training: a device's battery must last for them; null: any number.
    untrusted_limit_bytes
        Most bytes of a step (of a round) that may cross to a device of a lower level of trust.
    arrival_interval_s
        Serving: time between two requests.
    """

    kind: Literal["train", "serve"] = "train"
    batch: int = Field(ge=1, le=MOST_SAMPLES)
    optimizer: Literal["sgd", "momentum", "adamw"] = "sgd"
    precision: Precision = "fp32"
    tune: Literal["full", "lora"] = "full"
    lora_rank: int | None = Field(default=None, ge=1)
    lora_alpha: float | None = Field(default=None, gt=0)
    frozen: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    deadline_s: float | None = Field(default=None, gt=0)
    energy_budget_j: float | None = Field(default=None, gt=0)
    carbon_budget_g: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    untrusted_limit_bytes: int | None = Field(default=None, ge=0)
    arrival_interval_s: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tune == "lora" and self.lora_rank is None:
            raise ValueError("tune is lora: give lora_rank")
        lora = self.lora_rank is not None or self.lora_alpha is not None or self.trained
        if self.tune == "full" and lora:
            raise ValueError("lora_rank, lora_alpha and trained belong to tune lora")
        return self
