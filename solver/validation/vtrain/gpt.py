"""GPT as a workload: a chain of blocks with the times of a run's micro-batches."""

from __future__ import annotations

from itertools import pairwise

from models.formats.vtrain import GptRun
from models.workload import Block, Collective, Edge, TensorSharding, TimeProfile, Workload
from solver.validation.vtrain.constants import VOCABULARY, Constants
from solver.validation.vtrain.costs import HALF, Floats, Shapes, pass_costs
from solver.validation.vtrain.gpus import KIND, tensor_bytes_per_s


def workload_of(run: GptRun, constants: Constants) -> Workload:
    """Return GPT as a chain of blocks with the times of the run's micro-batches.

    Parameters
    ----------
    run, constants
        The run, and what was fitted.

    Notes
    -----
    A profile is of a whole block, of which a GPU that holds a part of it takes its part of the time: the
    time of one GPU is entered times the number of parts. The output layer's weights are the embedding's;
    where the two are on different GPUs both hold and update them, and the sum of their gradients over two
    GPUs, for which the measurements leave no room, is left out.
    """
    one = pass_costs(Shapes.of([run]), constants, tensor_bytes_per_s(run, constants))
    times = {"embedding": _times(run, one.embedding / 3, one.embedding * 2 / 3)}
    names = [f"layer{i}" for i in range(run.layers)]
    layer = _times(run, one.layer_forward, one.layer_backward)
    times |= dict.fromkeys(names, layer) | {"head": _times(run, one.head / 3, one.head * 2 / 3)}
    chain = ["embedding", *names, "head"]
    return Workload(
        name=run.name.replace("/", "_"),
        precision="fp16",
        blocks=(_embedding(run), *(_layer(run, name) for name in names), _head(run)),
        edges=tuple(Edge(source=a, target=b) for a, b in pairwise(chain)),
        profiles={KIND: times},
    )


def _times(run: GptRun, forward: Floats, backward: Floats) -> TimeProfile:
    return TimeProfile(
        samples=(run.micro_batch,),
        forward_s=(float(forward[0]) * run.tensor,),
        backward_s=(float(backward[0]) * run.tensor,),
    )


def _embedding(run: GptRun) -> Block:
    weights = HALF * run.hidden * (VOCABULARY + run.sequence)
    return Block(
        name="embedding",
        forward_flop=0,
        weight_bytes=weights,
        kept_bytes=run.sequence * run.hidden,
        output_bytes=HALF * run.sequence * run.hidden,
        tokens=run.sequence,
        columns=run.hidden,
        tensor=TensorSharding(columns=VOCABULARY, weight_bytes=weights),
    )


def _layer(run: GptRun, name: str) -> Block:
    flop = 24 * run.sequence * run.hidden**2 + 4 * run.sequence**2 * run.hidden
    boundary = HALF * run.sequence * run.hidden
    weights = HALF * (12 * run.hidden**2 + 13 * run.hidden)
    whole = 10 * run.sequence * run.hidden
    return Block(
        name=name,
        forward_flop=flop,
        backward_input_flop=flop,
        backward_weight_flop=flop,
        weight_bytes=weights,
        kept_bytes=whole + 24 * run.sequence * run.hidden + 5 * run.heads * run.sequence**2,
        output_bytes=boundary,
        tokens=run.sequence,
        columns=run.hidden,
        tensor=TensorSharding(
            heads=run.heads,
            weight_bytes=weights,
            kept_whole_bytes=whole,
            collectives=tuple(
                Collective(operation="all_reduce", phase=phase, bytes_per_sample=boundary, at=at)
                for phase in ("forward", "backward")
                for at in (0.5, 1.0)
            ),
        ),
    )


def _head(run: GptRun) -> Block:
    flop = 2 * run.sequence * run.hidden * VOCABULARY
    weights = HALF * run.hidden * VOCABULARY if run.pipeline > 1 else 0
    boundary = HALF * run.sequence * run.hidden
    return Block(
        name="head",
        forward_flop=flop,
        backward_input_flop=flop,
        backward_weight_flop=flop,
        weight_bytes=weights,
        kept_bytes=4 * run.sequence * VOCABULARY + boundary,
        output_bytes=4,
        task="text",
        loss="cross_entropy",
        tensor=TensorSharding(
            columns=VOCABULARY,
            weight_bytes=weights,
            kept_whole_bytes=boundary,
            collectives=(Collective(operation="all_reduce", phase="backward", bytes_per_sample=boundary),),
        ),
    )
