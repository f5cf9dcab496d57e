"""Beginnings and ends of published transformers: embeddings and heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.shard import Interval
from models.nets.traits import Traits
from models.nets.transformer import Norm


class TokenEmbedding(nn.Module):
    """Embedding of token indices, with learned positions if there are any.

    Parameters
    ----------
    vocabulary, width
        Number of tokens known, columns.
    positions
        Number of learned positions; 0 for none.
    """

    def __init__(self, vocabulary: int, width: int, positions: int = 0) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(positions, width) if positions else None
        self.traits = Traits(sequence="token")

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [samples, tokens, width] of token indices [samples, tokens]."""
        return self.at(tokens, tokens=(0, tokens.shape[1]))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return the embedding of some tokens of [samples, tokens]."""
        words: Tensor = self.word(inputs[0][:, slice(*tokens)])
        if self.position is None:
            return words
        positions: Tensor = self.position(torch.arange(*tokens, device=words.device))
        return words + positions


class PatchEmbedding(nn.Module):
    """Square patches of an image projected, a class token before them, learned positions.

    Parameters
    ----------
    size, patch
        Pixels of a side of the image, of a patch.
    width
        Columns of the tokens.
    bias
        Whether the projection has a bias.
    norm
        Makes a norm of the sum; none if ``None``.
    """

    def __init__(
        self, size: int, patch: int, width: int, *, bias: bool = True, norm: Norm | None = None
    ) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, width, patch, patch, bias=bias)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn((size // patch) ** 2 + 1, width))
        self.norm = norm(width) if norm is not None else None
        self.traits = Traits(sequence="token")

    def forward(self, image: Tensor) -> Tensor:
        """Return [samples, 1 + patches, width] of an image [samples, 3, size, size]."""
        return self.at(image, tokens=(0, len(self.position)))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return some of the tokens of an image; all its patches are projected."""
        patches = self.project(inputs[0]).flatten(2).transpose(1, 2)
        whole = torch.cat([self.token.expand(len(patches), -1, -1), patches], dim=1)
        chosen: Tensor = whole[:, slice(*tokens)] + self.position[slice(*tokens)]
        return chosen if self.norm is None else self.norm(chosen)


class TokenNorm(nn.Module):
    """The norm at the end of an encoder.

    Parameters
    ----------
    width
        Columns of the tokens.
    norm
        Makes the norm.
    """

    def __init__(self, width: int, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm(width)
        self.traits = Traits(sequence="token")

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, tokens, width]."""
        normed: Tensor = self.norm(x)
        return normed


class LanguageHead(nn.Module):
    """Norm and projection to the vocabulary.

    Parameters
    ----------
    width, vocabulary
        Columns of the tokens, number of tokens known.
    norm
        Makes the norm.
    """

    def __init__(self, width: int, vocabulary: int, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm(width)
        self.classify = nn.Linear(width, vocabulary, bias=False)
        self.traits = Traits(sequence="token")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, tokens, vocabulary]."""
        logits: Tensor = self.classify(self.norm(x))
        return logits


class TokenHead(nn.Module):
    """Norm and projection of one token of a sample.

    Parameters
    ----------
    width, classes
        Columns of the tokens, columns of the result.
    token
        Which token: 0 the first, -1 the last.
    norm
        Makes the norm.
    bias
        Whether the projection has a bias.
    """

    def __init__(
        self, width: int, classes: int, token: int = 0, norm: Norm = nn.LayerNorm, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.token = token
        self.norm = norm(width)
        self.classify = nn.Linear(width, classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, classes] of tokens [samples, tokens, width]."""
        logits: Tensor = self.classify(self.norm(x[:, self.token]))
        return logits
