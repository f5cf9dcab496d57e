"""Cards: the committed ones come from the nets that run, and a card's fields say what was counted."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from torch import nn

from models.catalog import workload
from models.nets import catalog
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp
from models.profile import FOLDER, main, profile, text_of

TINY = NetSpec(
    name="tiny",
    description="",
    source="",
    blocks=(
        BlockSpec("in", partial(nn.Linear, 3, 4), modality="image"),
        BlockSpec("attention", partial(Attention, 4, 2), ("in",)),
        BlockSpec("mlp", partial(Mlp, 4, 6), ("attention",)),
        BlockSpec("out", partial(nn.Linear, 4, 2), ("mlp",), loss=cross_entropy("word", 0.5)),
    ),
    inputs={"image": TensorSpec((5, 3), owned_as="camera")},
    targets={"word": TensorSpec((5,), "int", 2)},
    private=frozenset({"image"}),
)


def test_every_net_has_a_card() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} >= set(catalog.names())


@pytest.mark.parametrize("name", catalog.trainable())
def test_card_is_profiled_from_the_net_that_runs(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text() == text_of(profile(catalog.spec(name)))
    assert workload(name).net == name


def test_command_writes_the_card_again(tmp_path: Path) -> None:
    assert main(["resnet50", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "resnet50.json").read_bytes() == (FOLDER / "resnet50.json").read_bytes()


def test_command_shows_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resnet5"]) == 2
    assert "resnet50" in capsys.readouterr().err


def test_block_counts_by_hand() -> None:
    card = profile(TINY)
    first, attention, mlp, last = card.blocks
    assert (first.forward_flop, first.backward_input_flop, first.backward_weight_flop) == (120, 0, 120)
    # Four projections of 5 tokens by 4x4, and two products of 5x5 with 4 columns.
    assert attention.forward_flop == 4 * 2 * 5 * 16 + 4 * 5 * 5 * 4
    assert attention.backward_input_flop == 4 * 2 * 5 * 16 + 2 * 4 * 5 * 5 * 4
    assert attention.backward_weight_flop == 4 * 2 * 5 * 16
    # Input, mean and deviation of the norm, normed, query, key, value, their mixture; 2 heads of 5x5.
    assert attention.kept_bytes == 4 * (6 * 20 + 2 * 5 + 2 * 25)
    # Input and its norm, without the inputs of the projections.
    assert attention.kept_frozen_bytes == 4 * (4 * 20 + 2 * 5 + 2 * 25)
    assert mlp.weight_bytes == 4 * (4 * 6 + 6 + 6 * 4 + 4 + 2 * 4)
    assert (mlp.output_bytes, mlp.tokens, mlp.columns) == (80, 5, 4)
    assert (last.task, last.loss, last.weight) == ("word", "cross_entropy", 0.5)


def test_source_says_what_it_reads() -> None:
    first = profile(TINY).blocks[0]
    assert first.modality == "image"
    assert first.data is not None
    assert (first.data.name, first.data.bytes_per_sample, first.data.may_leave) == ("camera", 60, False)


def test_card_only_nets_cannot_be_trained() -> None:
    assert profile(TINY).net is None


def test_text_leaves_defaults_out() -> None:
    text = text_of(profile(TINY))
    assert text.startswith('{\n "version": 1,\n "name": "tiny",\n "source": ')
    assert "precision" not in text
