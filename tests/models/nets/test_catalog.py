"""Catalogue of nets: found by looking in the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models.errors import InputError
from models.nets import catalog


def test_helpers_are_not_nets() -> None:
    assert {"vit_digits", "gpt2", "resnet50"} <= set(catalog.names())
    assert not {"catalog", "net", "data", "transformer", "bert"} & set(catalog.names())


def test_trainable_nets_have_data() -> None:
    assert catalog.trainable() == (
        "cnn_digits",
        "gpt_letters",
        "imu_motions",
        "imu_pairs",
        "minilm",
        "vit_digits",
        "vit_two_tasks",
    )


@pytest.mark.parametrize("name", catalog.names())
def test_file_name_is_the_net_name(name: str) -> None:
    spec = catalog.spec(name)
    assert spec.name == name
    names = [block.name for block in spec.blocks]
    assert len(names) == len(set(names))
    for block in spec.blocks:
        assert bool(block.inputs) != (block.modality is not None)
        assert set(block.inputs) <= set(names[: names.index(block.name)])


def test_unknown_name_shows_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'vit_digit'; nearest: vit_digits"):
        catalog.build("vit_digit")


def test_broken_file_is_told_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("def spec():\n    return 1 / 0\n")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    package = sys.modules["models.nets"]
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    assert catalog.names() == ("broken",)
    with pytest.raises(InputError, match=r"broken\.py is broken: ZeroDivisionError"):
        catalog.spec("broken")
    monkeypatch.delitem(sys.modules, "models.nets.broken")
