"""What to keep of a run: which areas, which indices, which units."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import schema
from ..errors import SimulationError, unknown
from ..stimuli.protocol import Protocol

_UNITS = re.compile(r"units:([1-9][0-9]*)")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Record:
    """What a recording keeps.

    Parameters
    ----------
    areas
        Names of the areas to record; ``None`` for all of them, ``()`` for the
        scores alone.
    every
        Keep every so many-th index, counted from `from_step`.
    from_step, until_step
        First and last index to keep, both included; ``None`` for the end.
    reduce
        ``"mean"`` averages every channel over space, ``"none"`` keeps whole
        maps, ``"units:N"`` keeps N units of every area, drawn from the seed
        and spread evenly over channels and positions, ``"summary"`` keeps no
        activity, only the `summaries` (all of them if none is named).
    dtype
        ``"float32"`` or ``"float16"``: the numbers of ``activation``.
    summaries
        Numbers that describe a whole area, from :data:`schema.SUMMARIES`; kept in float32
        beside ``rms``, which is always kept:

        - ``mean`` of all units;
        - ``norm``, the L2 norm over units, which is ``rms`` times the square root of their
          number;
        - ``sparseness`` of the rectified activity r of n units: ``(1 - a) / (1 - 1/n)``, where
          ``a = (sum(r)/n)**2 / (sum(r**2)/n)`` (Treves & Rolls 1991, Network 2:371; in this
          form Vinje & Gallant 2000, Science 287:1273); 0 if all units are equally active,
          1 if one alone is, NaN if none is;
        - ``distance``, the L2 distance to the activity one step before (whatever `every`
          says); NaN where the area was empty then.

    Raises
    ------
    SimulationError
        If a value makes no sense.
    """

    areas: tuple[str, ...] | None = None
    every: int = 1
    from_step: int = 0
    until_step: int | None = None
    reduce: str = "mean"
    dtype: str = "float32"
    summaries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if self.every < 1:
            raise SimulationError(f"record every {self.every} steps? it must be 1 or more")
        if self.from_step < 0:
            raise SimulationError(f"record from step {self.from_step}? steps start at 0")
        if self.until_step is not None and self.until_step < self.from_step:
            raise SimulationError(
                f"record from step {self.from_step} until step {self.until_step}? nothing is left"
            )
        known = ["mean", "none", "units:500", "summary"]
        if self.reduce not in known and not _UNITS.fullmatch(self.reduce):
            raise SimulationError(unknown("reduction", self.reduce, known))
        if self.dtype not in DTYPES:
            raise SimulationError(unknown("type of numbers", self.dtype, DTYPES))
        for name in self.summaries:
            if name not in schema.SUMMARIES:
                raise SimulationError(unknown("summary", name, schema.SUMMARIES))

    @classmethod
    def of(cls, protocol: Protocol) -> Record:
        """Return what a protocol's file asks for."""
        asked, kept = protocol.record, protocol.recorded
        areas = None if asked.areas == "all" else tuple(asked.areas)
        return cls(areas, asked.every, kept[0], kept[-1], asked.reduce, asked.dtype,
                   tuple(asked.summaries))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The summaries that are kept, in the order of the schema."""
        every = self.reduce == "summary" and not self.summaries
        return tuple(name for name in schema.SUMMARIES if every or name in self.summaries)

    @property
    def unit_count(self) -> int | None:
        """How many units to sample per area, ``None`` if no units are sampled."""
        match = _UNITS.fullmatch(self.reduce)
        return int(match[1]) if match else None

    def choose_areas(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the areas to record, in the graph's order.

        Raises
        ------
        SimulationError
            If an area is not in the graph.
        """
        if self.areas is None:
            return tuple(names)
        for name in self.areas:
            if name not in names:
                raise SimulationError(f"cannot record {unknown('area', name, names)}")
        return tuple(name for name in names if name in self.areas)

    def indices(self, steps: int) -> tuple[int, ...]:
        """Return the state indices kept of a run of so many steps.

        Raises
        ------
        SimulationError
            If the run ends before the first one.
        """
        last = steps if self.until_step is None else min(self.until_step, steps)
        kept = tuple(range(self.from_step, last + 1, self.every))
        if not kept:
            raise SimulationError(
                f"record from step {self.from_step}? the protocol ends at step {steps}"
            )
        return kept


def sample_units(
    area: str, shape: tuple[int, ...], count: int, seed: int
) -> NDArray[np.int64]:
    """Draw units of an area, spread evenly over channels and positions.

    All units are laid in one line, channel after channel and within a channel
    along a Z-order curve, so that neighbours on the line are neighbours in
    the map; the line is cut into `count` stretches of equal length (to within
    one unit) and one unit is drawn from each.

    Parameters
    ----------
    area
        The area's name, so that each area has a draw of its own, whatever
        else is recorded.
    shape
        Channels, height and width.
    count
        Units to draw; no more than there are.
    seed
        The same seed draws the same units.

    Returns
    -------
    ndarray, shape (units, 3)
        Channel, y and x of every unit, in C order of the map.
    """
    channels, height, width = shape
    rows, columns = np.divmod(np.arange(height * width), width)
    curve = np.argsort(_interleave(rows, columns), kind="stable")
    total = channels * height * width
    edges = np.arange(min(count, total) + 1) * total // min(count, total)
    rng = np.random.default_rng([seed, zlib.crc32(area.encode())])
    channel, along = np.divmod(rng.integers(edges[:-1], edges[1:]), height * width)
    flat = np.sort(channel * height * width + curve[along])
    return np.stack(np.unravel_index(flat, shape), axis=1).astype(np.int64)


def _interleave(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    bits = range(max(int(np.max(rows)), int(np.max(columns))).bit_length())
    code = np.zeros_like(rows)
    for bit in bits:
        code |= ((rows >> bit & 1) << (2 * bit + 1)) | ((columns >> bit & 1) << (2 * bit))
    return code
