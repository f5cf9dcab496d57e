"""Training: the last phase, which begins with a deployment or goes on where it ended."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.document import dump_json, read, write_text
from models.errors import Fault, InputError
from solver.loading import Loaded
from solver.plan import share_devices

if TYPE_CHECKING:
    from solver.execution.elastic.run import ElasticResult
    from solver.execution.run import RunResult

FIGURES, BEGUN = "training.json", "begun.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """How it is trained.

    Parameters
    ----------
    steps, mode, dilation, learning_rate
        See :func:`solver.execution.run.run`.
    elastic
        Whether it goes on when devices leave and return; ``None``: where the plan allows it.
    policy, respawn
        See :class:`solver.repair.policy.Repair` and :func:`solver.execution.elastic.run.run_elastic`.
    checkpoint_every
        Steps between two checkpoints; one is written after the last step too.
    reference
        Whether the undivided run is done too and compared.
    """

    steps: int = 100
    mode: Literal["padded", "raw"] = "padded"
    dilation: float | None = None
    learning_rate: float | None = None
    elastic: bool | None = None
    policy: str | None = None
    respawn: float | None = None
    checkpoint_every: int = 20
    reference: bool = True

    def words(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def run_faults(mode: str, dilation: float | None, learning_rate: float | None) -> Iterator[Fault]:
    """Yield what is wrong with the words of a run, whatever the plan.

    Parameters
    ----------
    mode, dilation, learning_rate
        See :func:`solver.execution.run.run`.
    """
    if mode not in ("padded", "raw"):
        yield Fault("--mode", f"no mode {mode!r}; there are: padded, raw")
    for word, number in (("--dilation", dilation), ("--learning-rate", learning_rate)):
        if number is not None and not (math.isfinite(number) and number > 0):
            yield Fault(word, f"a number above zero is needed (given: {number})")
    if dilation is not None and mode == "raw":
        yield Fault("--dilation", "a raw run has none; leave it out or take --mode padded")


def why_not_elastic(loaded: Loaded) -> str:
    """Return why a plan cannot go on without one of its devices; empty if it can.

    Parameters
    ----------
    loaded
        The plan.
    """
    plan = loaded.plan
    if plan.sync.every > 1:
        return f"the plan synchronises every {plan.sync.every} steps, an elastic run in every step"
    used = {name for p in plan.pipelines for stage in p.stages for name in share_devices(stage.shares)}
    if len(used) == 1:
        return f"only {used.pop()} takes part, nobody could go on without it"
    return ""


def train(loaded: Loaded, deployment: Path, folder: Path, wanted: Training, say: Say) -> dict[str, Any]:
    """Train, from the newest checkpoint of the same training if there is one; return what came of it.

    Parameters
    ----------
    loaded, deployment
        The plan, and its weights.
    folder
        For everything it leaves; what lies there of another training is removed.
    wanted
        How.
    say
        Told what a person should know at once.
    """
    reason = why_not_elastic(loaded)
    if wanted.elastic and reason:
        raise InputError([Fault("--elastic", reason)], "train")
    elastic = not reason if wanted.elastic is None else wanted.elastic
    begin = _beginning(loaded, deployment, folder, wanted, say)
    words: dict[str, Any] = {
        "steps": wanted.steps,
        "mode": wanted.mode,
        "dilation": wanted.dilation,
        "learning_rate": wanted.learning_rate,
        "checkpoint_every": wanted.checkpoint_every,
        "keep_checkpoint": True,
        "reference": wanted.reference,
        "out": folder,
        "overwrite": True,
        **begin,
    }
    if elastic:
        figures = _elastic(loaded, wanted, words, say)
    else:
        say(f"not elastic: {reason or 'as asked'}")
        figures = _plain(loaded, words, say)
    figures = {"elastic": elastic, "why_not_elastic": "" if elastic else reason or "as asked", **figures}
    write_text(folder / FIGURES, dump_json(figures), overwrite=True)
    return figures


def _beginning(loaded: Loaded, deployment: Path, folder: Path, wanted: Training, say: Say) -> dict[str, Any]:
    """Return where it begins: at the newest checkpoint with steps left, or anew at the deployment."""
    from solver.execution.state.checkpoint import all_of, step_of
    from solver.execution.state.deployment import Deployment

    manifest = Deployment.open(deployment).manifest
    course = {word: value for word, value in wanted.words().items() if word in ("learning_rate", "elastic")}
    mark = {"plan": loaded.plan.digest, "seed": manifest.seed, **course}
    path = folder / BEGUN
    if path.exists() and read(path) == mark:
        left = [one for one in all_of(folder) if step_of(one) < wanted.steps]
        if left:
            say(f"train: goes on after step {step_of(left[-1])}, from its checkpoint")
            return {"resume": left[-1]}
    if folder.exists():
        shutil.rmtree(folder)
    write_text(path, dump_json(mark))
    return {"deployment": deployment}


def _plain(loaded: Loaded, words: dict[str, Any], say: Say) -> dict[str, Any]:
    from solver.execution.run import run
    from solver.progress import training

    with training(words["steps"]) as progress:
        result: RunResult = run(
            loaded.plan, loaded.workload, loaded.cluster, progress=progress, notice=say, **words
        )
    data = result.to_json()
    kept = ("losses", "reference_losses", "max_relative_loss_difference", "max_relative_weight_difference")
    return {
        **{word: data[word] for word in kept},
        "first_step": data["first_step"],
        "step_time_s": data["step_time_s"],
        "energy_j": {
            word: data["energy_j"].get(word) for word in ("predicted", "from_intervals", "power_is")
        },
        "overruns": data["overruns"],
        "faults": [],
        "checkpoints": data["checkpoints"][-1:],
    }


def _elastic(loaded: Loaded, wanted: Training, words: dict[str, Any], say: Say) -> dict[str, Any]:
    from statistics import median

    from solver.evaluate import evaluate
    from solver.execution.elastic.run import run_elastic
    from solver.execution.trace import finite
    from solver.plan import Plan
    from solver.progress import training
    from solver.repair.policy import Repair
    from solver.reporting.elastic import event_words

    repair = Repair(policy=wanted.policy or "cheapest")  # type: ignore[arg-type]
    with training(words["steps"]) as progress:

        def hear(event: dict[str, Any]) -> None:
            if "loss" in event:
                progress(event["step"], event["loss"])
            elif text := event_words(event):
                say(text)

        result: ElasticResult = run_elastic(
            loaded.plan,
            loaded.workload,
            loaded.cluster,
            repair=repair,
            respawn_s=wanted.respawn,
            on_event=hear,
            **words,
        )
    data = result.to_json()
    last = evaluate(Plan.model_validate(result.trace.plan), loaded.workload, loaded.cluster)
    times = result.trace.step_times_s
    kept = ("losses", "reference_losses", "max_relative_loss_difference", "max_relative_weight_difference")
    return {
        **{word: data[word] for word in kept},
        "losses": finite([*result.trace.earlier_losses, *result.trace.losses]),
        "reference_losses": finite(list(result.trace.reference_losses)),
        "first_step": data["first_step"],
        "step_time_s": {"predicted": last.step_time_s, "measured_median": median(times) if times else None},
        "energy_j": {
            "predicted": last.energy_j,
            "from_intervals": result.energy.energy_j,
            "power_is": last.energy_is,
            **{word: data["energy_j"][word] for word in ("total", "outside_steps")},
            "num_steps": len(data["losses"]),
        },
        "overruns": sum(device.count_overruns for device in result.trace.devices.values()),
        "faults": data["changes"],
        "throughput_kept": data["throughput_kept"],
        "detect_s": data["detect_s"],
        "checkpoints": data["checkpoints"][-1:],
    }
