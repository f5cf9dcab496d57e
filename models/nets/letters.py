"""Windows of real text, scikit-learn's descriptions of its data sets, letter by letter."""

from __future__ import annotations

from importlib import resources

import numpy as np

from models.nets.data import Arrays, Dataset
from models.nets.texts import DOCUMENTS

LETTERS, LENGTH = 128, 32
_STRIDE = 16


def windows() -> Arrays:
    """Return windows of text: letters (num_samples, 32), and the letter after each of them."""
    folder = resources.files("sklearn.datasets.descr")
    texts = [(folder / f"{name}.rst").read_text(encoding="utf-8") for name in DOCUMENTS]
    codes = [np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) for text in texts]
    starts = [(code, start) for code in codes for start in range(0, len(code) - LENGTH, _STRIDE)]
    found = np.stack([code[start : start + LENGTH + 1] for code, start in starts])
    return {"text": found[:, :-1]}, {"next_letter": found[:, 1:]}


WINDOWS = Dataset("data_set_descriptions_by_letter", windows)
