"""Space: the plans among which a solver looks, and for which optimality, bounds and gaps hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Space:
    """A set of plans.

    Parameters
    ----------
    modes
        Modes a stage may have.
    max_group
        Most devices of a stage; ``None``: any number.
    max_stages
        Most stages; ``None``: any number.
    num_micro_batches
        Micro-batches of a step that may be chosen.
    in_flight
        ``default`` (2 x depth - 1), or ``free``.
    stages_per_device
        Most stages a device may hold.
    share_step
        Shares are multiples of it, samples; ``None``: shares follow a rule of the solver.
    power_modes
        ``own``: devices as they are, or ``free``: in any of their power modes.
    rings
        ``nearest``: each device of a group is joined to its nearest, as where a plan names no ring; ``any``:
        in any order, or all rings take equally long. Said of groups only.
    others
        Whether the plans of other kinds that were looked at belong to it too.
    """

    modes: tuple[str, ...] = ("data",)
    max_group: int | None = 1
    max_stages: int | None = None
    num_micro_batches: tuple[int, ...] = (1,)
    in_flight: str = "default"
    stages_per_device: int = 1
    share_step: int | None = 1
    power_modes: str = "own"
    rings: str = "any"
    others: bool = False

    def covers(self, other: Space) -> bool:
        """Return whether all plans of another space are plans of this one.

        Parameters
        ----------
        other
            A space without others.
        """
        return (
            set(other.modes) <= set(self.modes)
            and _reaches(self.max_group, other.max_group)
            and _reaches(self.max_stages, other.max_stages)
            and set(other.num_micro_batches) <= set(self.num_micro_batches)
            and self.in_flight in ("free", other.in_flight)
            and self.power_modes in ("free", other.power_modes)
            and other.stages_per_device <= self.stages_per_device
            and (other.max_group == 1 or self.rings in ("any", other.rings))
            and self._has_shares_of(other)
        )

    def _has_shares_of(self, other: Space) -> bool:
        if other.max_group == 1 or self.share_step == 1:
            return True
        if self.share_step is None or other.share_step is None:
            return False
        return other.share_step % self.share_step == 0

    def __str__(self) -> str:
        """Return the space in words, for every table that prints a bound."""
        group = "any number of devices" if self.max_group is None else f"at most {self.max_group} device(s)"
        parts = [f"stages of {group} each", f"modes {'/'.join(self.modes)}"]
        if self.max_stages is not None:
            parts.append(f"at most {self.max_stages} stage(s)")
        parts.append(f"{'/'.join(map(str, self.num_micro_batches))} micro-batches")
        parts.append(f"in-flight rule {self.in_flight}")
        parts.append(f"at most {self.stages_per_device} stage(s) a device")
        if self.max_group != 1:
            parts.append(
                "shares by rule" if self.share_step is None else f"shares in steps of {self.share_step}"
            )
            if self.rings != "any":
                parts.append(f"rings {self.rings}")
        if self.power_modes != "own":
            parts.append(f"power modes {self.power_modes}")
        if self.others:
            parts.append("and the plans of other kinds that were looked at")
        return ", ".join(parts)


def _reaches(most: int | None, other: int | None) -> bool:
    return most is None or (other is not None and other <= most)
