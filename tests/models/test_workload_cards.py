"""Every committed card against closed forms from published dimensions, computed here without the nets."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import pytest

from models.catalog import workload
from models.workload import NUM_BYTES, Workload

PARAMETERS = {
    # Devlin et al.: 109,482,240 with the pooler, and 768 x 2 + 2 of the head.
    "bert_base": 109_482_240 + 1_538,
    # Turc et al., 4 layers of 512: (30522 + 512 + 2 + 2) x 512 + 4 x (12 x 512^2 + 13 x 512) with
    # the pooler's 512 x 513, and 512 x 2 + 2 of the head.
    "bert_small": 28_763_648 + 1_026,
    "gpt2": 124_439_808,
    "vit_b16": 86_567_656,
    "t5_base": 222_903_552,
    "llama2_7b": 6_738_415_616,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b1": 7_794_184,
    "clip_b32": 151_277_313,
    "whisper_tiny": 37_760_640,
    # all-MiniLM-L6-v2 has 22,713,216; without its pooler (384 x 385), with a head of 8 classes.
    "minilm": 22_713_216 - 147_840 + 385 * 8,
}


def total(card: Workload, *fields: str) -> float:
    return sum(getattr(block, field) for block in card.blocks for field in fields)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_exact(name: str) -> None:
    card = workload(name)
    assert total(card, "weight_bytes") == PARAMETERS[name] * NUM_BYTES[card.precision]


@dataclass(frozen=True)
class Stack:
    """Layers of a transformer: width, layers, tokens, tokens attended to, inner columns, their matrices."""

    width: int
    layers: int
    tokens: int
    memory: int
    inner: int = 0
    matrices: int = 2

    @property
    def flop(self) -> int:
        """Operations: 2 x weights x tokens, and 4 T T_kv h for attention."""
        square = 2 * self.width**2
        projections = square * 2 * self.tokens + square * 2 * self.memory
        attention = 4 * self.tokens * self.memory * self.width
        mlp = 2 * self.matrices * self.width * self.inner * self.tokens
        return self.layers * (projections + attention + mlp)


TRANSFORMERS = {
    "bert_base": ([Stack(768, 12, 128, 128, 3072)], 2 * (768 * 768 + 768 * 2)),
    "bert_small": ([Stack(512, 4, 128, 128, 2048)], 2 * (512 * 512 + 512 * 2)),
    "gpt2": ([Stack(768, 12, 512, 512, 3072)], 2 * 512 * 768 * 50257),
    "vit_b16": ([Stack(768, 12, 197, 197, 3072)], 2 * (196 * 3 * 256 * 768 + 768 * 1000)),
    "llama2_7b": ([Stack(4096, 32, 512, 512, 11008, 3)], 2 * 512 * 4096 * 32000),
    "t5_base": (
        [Stack(768, 12, 128, 128, 3072), Stack(768, 12, 128, 128, 3072), Stack(768, 12, 128, 128)],
        2 * 128 * 768 * 32128,
    ),
    "clip_b32": (
        [Stack(768, 12, 50, 50, 3072), Stack(512, 12, 77, 77, 2048)],
        2 * (49 * 3 * 1024 * 768 + 768 * 512 + 512 * 512),
    ),
    "whisper_tiny": (
        [Stack(384, 4, 1500, 1500, 1536), Stack(384, 4, 448, 448, 1536), Stack(384, 4, 448, 1500)],
        2 * (3000 * 3 * 80 * 384 + 1500 * 3 * 384 * 384 + 448 * 384 * 51865),
    ),
    "minilm": ([Stack(384, 6, 32, 32, 1536)], 2 * 384 * 8),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformer_forward(name: str) -> None:
    stacks, ends = TRANSFORMERS[name]
    assert total(workload(name), "forward_flop") == sum(stack.flop for stack in stacks) + ends


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_full_training_is_three_forwards(name: str) -> None:
    card = workload(name)
    forward = total(card, "forward_flop")
    step = forward + total(card, "backward_input_flop", "backward_weight_flop")
    assert step == pytest.approx(3 * forward, rel=0.01)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_frozen_matrices_are_two_forwards(name: str) -> None:
    """Frozen, a matrix costs two forwards; attention's two products have no weights and stay at three."""
    card = workload(name)
    inner = [block for block in card.blocks if card.predecessors[block.name]]
    weights = sum(block.backward_weight_flop for block in inner)
    forward = sum(block.forward_flop for block in inner)
    products = forward - weights
    assert products == sum(4 * s.layers * s.tokens * s.memory * s.width for s in TRANSFORMERS[name][0])
    frozen = forward + sum(block.backward_input_flop for block in inner)
    assert frozen == pytest.approx(2 * weights + 3 * products, rel=0.01)


def convolution(side: int, kernel: int, channels: int, wider: int) -> int:
    """Multiply-adds of a convolution with an output of side x side."""
    return side * side * kernel * kernel * channels * wider


def resnet50() -> int:
    """He et al., table 1: 3, 4, 6, 3 bottlenecks; the stride is in the 3x3 convolution."""
    sum_, channels, before = convolution(112, 7, 3, 64) + 2048 * 1000, 64, 56
    for inner, count, side in ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)):
        sum_ += convolution(side, 1, channels, 4 * inner)
        for _ in range(count):
            sum_ += convolution(before, 1, channels, inner) + convolution(side, 3, inner, inner)
            sum_ += convolution(side, 1, inner, 4 * inner)
            channels, before = 4 * inner, side
    return sum_


def inverted(rows: list[tuple[int, int, int, int, int, int]], side: int, excite: bool) -> int:
    """Inverted residuals from rows of (expansion, kernel, channels in, out, repetitions, stride)."""
    sum_ = 0
    for expand, kernel, channels, wider, count, stride in rows:
        for i in range(count):
            width = channels if i == 0 else wider
            inner = expand * width
            if expand > 1:
                sum_ += convolution(side, 1, width, inner)
            side = ceil(side / stride) if i == 0 else side
            sum_ += convolution(side, kernel, 1, inner) + convolution(side, 1, inner, wider)
            sum_ += 2 * inner * (width // 4) if excite else 0
    return sum_


def mobilenet_v2() -> int:
    """Sandler et al., table 2."""
    rows = [
        (1, 3, 32, 16, 1, 1),
        (6, 3, 16, 24, 2, 2),
        (6, 3, 24, 32, 3, 2),
        (6, 3, 32, 64, 4, 2),
        (6, 3, 64, 96, 3, 1),
        (6, 3, 96, 160, 3, 2),
        (6, 3, 160, 320, 1, 1),
    ]
    ends = convolution(112, 3, 3, 32) + convolution(7, 1, 320, 1280) + 1280 * 1000
    return inverted(rows, 112, excite=False) + ends


def efficientnet_b1() -> int:
    """Tan and Le, table 1 with repetitions times 1.1, rounded up, on images of 240x240."""
    rows = [
        (1, 3, 32, 16, 2, 1),
        (6, 3, 16, 24, 3, 2),
        (6, 5, 24, 40, 3, 2),
        (6, 3, 40, 80, 4, 2),
        (6, 5, 80, 112, 4, 1),
        (6, 5, 112, 192, 5, 2),
        (6, 3, 192, 320, 2, 1),
    ]
    ends = convolution(120, 3, 3, 32) + convolution(8, 1, 320, 1280) + 1280 * 1000
    return inverted(rows, 120, excite=True) + ends


def cnn_digits() -> int:
    """Own dimensions: two convolutions of 3x3 a block, a shortcut of 1x1 where it gets wider."""
    sum_, channels = convolution(8, 3, 1, 64) + 256 * 16 * 10, 64
    for wider in (64, 64, 128, 128, 128, 256, 256, 256):
        side = 4 if wider == 256 else 8
        sum_ += convolution(side, 3, channels, wider) + convolution(side, 3, wider, wider)
        sum_ += convolution(side, 1, channels, wider) if wider != channels else 0
        channels = wider
    return sum_


CONVOLUTIONS = {
    "resnet50": (resnet50, convolution(112, 7, 3, 64)),
    "mobilenet_v2": (mobilenet_v2, convolution(112, 3, 3, 32)),
    "efficientnet_b1": (efficientnet_b1, convolution(120, 3, 3, 32)),
    "cnn_digits": (cnn_digits, convolution(8, 3, 1, 64)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutional_flop(name: str) -> None:
    """Each convolution's two gradients cost what it costs; the first needs none of the raw image."""
    multiply_adds, first = CONVOLUTIONS[name]
    card = workload(name)
    assert total(card, "forward_flop") == 2 * multiply_adds()
    assert total(card, "backward_weight_flop") == 2 * multiply_adds()
    assert total(card, "backward_input_flop") == 2 * (multiply_adds() - first)


def test_vicuna_layer_in_bf16() -> None:
    blocks = workload("llama2_7b").by_name
    assert blocks["layer7.attention"].weight_bytes + blocks["layer7.mlp"].weight_bytes == 404_766_720


@pytest.mark.parametrize(
    ("name", "layers", "width", "tokens"), [("llama2_7b", 32, 4096, 512), ("bert_base", 12, 768, 128)]
)
def test_lora_weights_bytes_and_flop(name: str, layers: int, width: int, tokens: int) -> None:
    """Rank r on query and value adds 4 r h weights a layer, each two operations a token."""
    card, rank = workload(name), 8
    chosen = [a for block in card.blocks for a in block.adapters if a.name in ("query", "value")]
    weights = [rank * (adapter.in_features + adapter.out_features) for adapter in chosen]
    assert sum(weights) == layers * 4 * rank * width
    assert sum(2 * n * a.tokens for n, a in zip(weights, chosen, strict=True)) == 2 * sum(weights) * tokens
    # The usual configuration of Llama-7B has 4,194,304 adapter weights, 8 MiB in bf16.
    assert name != "llama2_7b" or sum(weights) * NUM_BYTES[card.precision] == 8 * 2**20


def test_adapters_that_read_the_same_keep_it_once() -> None:
    layer = workload("llama2_7b").by_name
    inputs = {a.name: a.input for a in (*layer["layer0.attention"].adapters, *layer["layer0.mlp"].adapters)}
    assert inputs["query"] == inputs["key"] == inputs["value"] != inputs["output"]
    assert inputs["up"] == inputs["gate"] != inputs["down"]


def test_cross_attention_reads_keys_from_the_encoder() -> None:
    card = workload("whisper_tiny")
    cross = card.by_name["decoder.layer2.cross"]
    assert [edge.source for edge in card.predecessors[cross.name]] == [
        "decoder.layer2.attention",
        "encoder.norm",
    ]
    assert {adapter.name: adapter.tokens for adapter in cross.adapters} == {
        "query": 448,
        "key": 1500,
        "value": 1500,
        "output": 448,
    }
    assert cross.sequence is not None and cross.tensor is not None
    assert [c.bytes_per_sample for c in cross.sequence.collectives] == [2 * 1500 * 384 * 4] * 2
    assert [c.bytes_per_sample for c in cross.tensor.collectives] == [448 * 384 * 4, (448 + 1500) * 384 * 4]


def test_sharding_of_a_layer() -> None:
    card = workload("bert_base")
    attention, mlp = card.by_name["layer0.attention"], card.by_name["layer0.mlp"]
    assert attention.tensor is not None and mlp.tensor is not None
    assert (attention.tensor.heads, attention.tensor.columns) == (12, None)
    assert (mlp.tensor.heads, mlp.tensor.columns) == (None, 3072)
    assert attention.tensor.weight_bytes == 4 * (4 * 768 * 768 + 3 * 768)
    assert mlp.tensor.weight_bytes == 4 * (2 * 768 * 3072 + 3072)
    assert {(c.operation, c.bytes_per_sample, c.at) for c in attention.tensor.collectives} == {
        ("all_reduce", attention.output_bytes, 1.0)
    }
    assert attention.sequence is not None and mlp.sequence is not None
    gather, scatter = attention.sequence.collectives
    assert (gather.operation, scatter.operation) == ("all_gather", "reduce_scatter")
    assert gather.bytes_per_sample == scatter.bytes_per_sample == 2 * attention.output_bytes
    assert gather.at == pytest.approx(3 * 2 * 128 * 768**2 / attention.forward_flop, abs=1e-6)
    assert mlp.sequence.collectives == ()


@pytest.mark.parametrize("name", ["clip_b32", "imu_motions"])
def test_two_towers_are_a_graph(name: str) -> None:
    card = workload(name)
    assert not card.is_chain
    assert len(card.sources) == 2
    assert len(card.sinks) == 1
    assert all(card.by_name[source].modality for source in card.sources)
