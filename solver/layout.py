"""Layout: which samples, tokens and columns of a stage each device of its group holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, combinations
from typing import NamedTuple

from models.workload import Block
from solver.plan import Explicit, Group, Share, Stage


class Box(NamedTuple):
    """A slice of a tensor: half-open intervals of samples, tokens and columns."""

    samples: tuple[int, int]
    tokens: tuple[int, int]
    columns: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of (sample, token, column) cells."""
        return (
            max(0, self.samples[1] - self.samples[0])
            * max(0, self.tokens[1] - self.tokens[0])
            * max(0, self.columns[1] - self.columns[0])
        )

    def __and__(self, other: Box) -> Box:
        """Return the overlap; its size may be 0."""
        return Box(*((max(a, c), min(b, d)) for (a, b), (c, d) in zip(self, other, strict=True)))

    def __sub__(self, other: Box) -> list[Box]:
        """Return disjoint boxes that cover this box without the other."""
        overlap = self & other
        if overlap.size == 0:
            return [self]
        rest: list[Box] = []
        left = list(self)
        for axis in range(3):
            low, high = overlap[axis]
            for start, end in ((left[axis][0], low), (high, left[axis][1])):
                if end > start:
                    piece = list(left)
                    piece[axis] = (start, end)
                    rest.append(Box(*piece))
            left[axis] = (low, high)
        return rest


def union(boxes: Iterable[Box]) -> list[Box]:
    """Return disjoint boxes that cover what the given ones cover; two that make one box are joined."""
    found: list[Box] = []
    for box in boxes:
        rest = [box] if box.size else []
        for other in found:
            rest = [piece for part in rest for piece in part - other]
        found += rest
    while True:
        pairs = ((a, b, _joined(a, b)) for a, b in combinations(found, 2))
        a, b, both = next((pair for pair in pairs if pair[2] is not None), (None, None, None))
        if a is None or b is None or both is None:
            return found
        found = [both if box is a else box for box in found if box is not b]


def hull(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around some boxes."""
    samples, tokens, columns = (
        (min(box[axis][0] for box in boxes), max(box[axis][1] for box in boxes)) for axis in range(3)
    )
    return Box(samples, tokens, columns)


def _joined(first: Box, second: Box) -> Box | None:
    """Return two disjoint boxes as one where they lie side by side along one axis and agree in the others."""
    apart = [axis for axis in range(3) if first[axis] != second[axis]]
    if len(apart) != 1:
        return None
    (a, b), (c, d) = sorted((first[apart[0]], second[apart[0]]))
    if b != c:
        return None
    whole = list(first)
    whole[apart[0]] = (a, d)
    return Box(*whole)


def apportion(weights: Mapping[str, float], total: int) -> dict[str, int]:
    """Share out units in proportion to weights by largest remainder; ties go to the first.

    Parameters
    ----------
    weights
        Weight of each name.
    total
        Units to share out.
    """
    scale = sum(Fraction(weight) for weight in weights.values())
    if scale == 0:
        return {name: total if i == 0 else 0 for i, name in enumerate(weights)}
    exact = {name: Fraction(weight) * total / scale for name, weight in weights.items()}
    shares = {name: int(value) for name, value in exact.items()}
    rest = total - sum(shares.values())
    for name in sorted(exact, key=lambda name: shares[name] - exact[name])[:rest]:
        shares[name] += 1
    return shares


def intervals(shares: Mapping[str, int], start: int = 0) -> dict[str, tuple[int, int]]:
    """Lay shares side by side: name to its half-open interval."""
    ends = list(accumulate(shares.values(), initial=start))
    return {name: (ends[i], ends[i + 1]) for i, name in enumerate(shares)}


@dataclass(frozen=True)
class Cut:
    """Part of one dimension: the share of one member out of all shares.

    Parameters
    ----------
    index
        Which member.
    shares
        Units of every member.
    """

    index: int
    shares: tuple[int, ...]

    @property
    def total(self) -> int:
        """Units of all members together."""
        return sum(self.shares)

    def of(self, units: int) -> tuple[int, int]:
        """Return the interval in a dimension of so many units, by largest remainder."""
        shares = self.shares if units == self.total else _apportioned(self.shares, units)
        start = sum(shares[: self.index])
        return start, start + shares[self.index]


@lru_cache(maxsize=4096)
def _apportioned(shares: tuple[int, ...], units: int) -> tuple[int, ...]:
    return tuple(apportion({str(i): share for i, share in enumerate(shares)}, units).values())


WHOLE = Cut(0, (1,))


@dataclass(frozen=True)
class Holding:
    """What one device of a group holds.

    Parameters
    ----------
    samples
        Interval of the micro-batch's samples.
    heads, columns, tokens
        Its parts; ``WHOLE`` where the group does not cut.
    cells
        Devices that compute the same samples and cut them further among themselves, this one
        included: the group of its collectives.
    mode
        How ``cells`` cut.
    """

    samples: tuple[int, int]
    heads: Cut
    columns: Cut
    tokens: Cut
    cells: tuple[str, ...]
    mode: str

    def tensor_part(self, block: Block) -> Fraction:
        """Return the part of a block's cut weights and work this device has in mode tensor."""
        cut, units = self._tensor_cut(block)
        start, end = cut.of(units)
        return Fraction(end - start, units)

    def tensor_interval(self, block: Block) -> tuple[Fraction, Fraction]:
        """Return the interval, from 0 to 1, of a block's cut weights this device holds."""
        cut, units = self._tensor_cut(block)
        start, end = cut.of(units)
        return Fraction(start, units), Fraction(end, units)

    def _tensor_cut(self, block: Block) -> tuple[Cut, int]:
        if block.tensor is None or self.mode != "tensor":
            return WHOLE, 1
        if block.tensor.heads is not None:
            return self.heads, block.tensor.heads
        return self.columns, block.tensor.columns or self.columns.total

    def token_part(self, block: Block) -> Fraction:
        """Return the part of a block's tokens this device computes in mode sequence."""
        start, end = self._token_cut(block).of(block.tokens)
        return Fraction(end - start, block.tokens)

    def _token_cut(self, block: Block) -> Cut:
        return WHOLE if block.sequence is None or self.mode != "sequence" else self.tokens

    def _columns(self, block: Block, layout: str, columns: int) -> tuple[int, int]:
        if layout == "full" or self.mode != "tensor":
            return 0, columns
        cut, units = self._tensor_cut(block)
        start, end = cut.of(units)
        return start * columns // units, end * columns // units

    def output_box(self, block: Block, active: tuple[int, int]) -> Box:
        """Return the slice of a block's output this device holds after computing it."""
        layout = block.tensor.output if block.tensor else "full"
        columns = self._columns(block, layout, block.columns)
        return Box(_clip(self.samples, active), self._token_cut(block).of(block.tokens), columns)

    def input_box(self, source: Block, block: Block, active: tuple[int, int]) -> Box:
        """Return the slice of ``source``'s output this device needs to compute ``block``."""
        layout = block.tensor.input if block.tensor else "full"
        columns = self._columns(block, layout, source.columns)
        return Box(_clip(self.samples, active), self._token_cut(block).of(source.tokens), columns)


def _clip(interval: tuple[int, int], active: tuple[int, int]) -> tuple[int, int]:
    start = max(interval[0], active[0])
    return start, max(start, min(interval[1], active[1]))


def holdings(stage: Stage, samples: int, nominal: int) -> dict[str, Holding]:
    """Return what each device of a stage holds of a micro-batch.

    Parameters
    ----------
    stage
        The stage.
    samples
        Samples of this micro-batch.
    nominal
        Samples the shares add up to; another number of samples is shared out in proportion.
    """
    return _open(stage.mode, stage.shares, (0, samples), nominal)


def _open(
    mode: str, shares: Explicit | dict[str, Share], span: tuple[int, int], nominal: int
) -> dict[str, Holding]:
    if mode == "data" and isinstance(shares, dict):
        weights = {name: s.samples if isinstance(s, Group) else s for name, s in shares.items()}
        size = span[1] - span[0]
        counts = weights if size == nominal else apportion(weights, size)
        found: dict[str, Holding] = {}
        for name, interval in intervals(counts, span[0]).items():
            share = shares[name]
            if isinstance(share, Group):
                found |= _open(share.mode, share.shares, interval, share.samples)
            else:
                found[name] = Holding(interval, WHOLE, WHOLE, WHOLE, (name,), "data")
        return found
    explicit = shares if isinstance(shares, Explicit) else _explicit(mode, shares)
    heads, columns, tokens = (
        _cuts(table, explicit.devices) for table in (explicit.heads, explicit.columns, explicit.tokens)
    )
    if explicit.columns is None:
        columns = heads
    if explicit.heads is None:
        heads = columns
    return {
        name: Holding(span, heads[name], columns[name], tokens[name], explicit.devices, mode)
        for name in explicit.devices
    }


def _explicit(mode: str, shares: dict[str, Share]) -> Explicit:
    units = {name: share for name, share in shares.items() if isinstance(share, int)}
    return Explicit(tokens=units) if mode == "sequence" else Explicit(heads=units)


def _cuts(table: dict[str, int] | None, devices: tuple[str, ...]) -> dict[str, Cut]:
    if table is None:
        return dict.fromkeys(devices, WHOLE)
    shares = tuple(table.values())
    return {name: Cut(i, shares) for i, name in enumerate(table)}
