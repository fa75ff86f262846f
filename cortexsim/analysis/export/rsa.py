"""Activity as a TemporalDataset of rsatoolbox, in its own HDF5 file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ... import provenance, schema
from ...errors import RecordingError
from .selection import Selection

if TYPE_CHECKING:
    from rsatoolbox.data import TemporalDataset

#: Bytes of activity at most: rsatoolbox holds a data set in memory as a whole.
LARGEST_BYTES = 2 * 2 ** 30


def dataset(chosen: Selection) -> TemporalDataset:
    """Return a selection as a data set of rsatoolbox.

    Parameters
    ----------
    chosen
        What to take; the units of all areas are channels, told apart by ``region``.

    Returns
    -------
    rsatoolbox.data.TemporalDataset
        ``measurements`` (trial, unit, time), float32, NaN where an area is empty.
        Observations have ``trial``, ``stimulus_id``, ``condition``, ``label``, ``class`` and
        the factors; channels ``region``, ``channel``, and ``x`` and ``y`` where known (-1
        elsewhere); times ``time`` in ms and ``step``.

    Raises
    ------
    RecordingError
        If an area's activity is not recorded, no area is chosen, or there is more than
        memory is meant to hold.
    """
    from rsatoolbox.data import TemporalDataset

    if not chosen.areas:
        raise RecordingError("no area is recorded, and a data set of rsatoolbox holds nothing "
                             "else: run the protocol again with --record all")
    places = {area: chosen.places(area) for area in chosen.areas}
    shape = (len(chosen.trials), sum(units.sizes[schema.UNIT] for units in places.values()),
             len(chosen.steps))
    size = int(np.prod(shape, dtype=np.int64)) * 4
    if size > LARGEST_BYTES:
        raise RecordingError(
            f"{size / 2 ** 30:.1f} GiB of activity are more than the {LARGEST_BYTES / 2 ** 30:g} "
            "GiB that a data set of rsatoolbox may have in memory here: choose some with --areas, "
            "--condition, --stimuli or --time, or average maps with --pool")
    values = np.empty(shape, np.float32)
    start = 0
    for area, units in places.items():
        stop = start + units.sizes[schema.UNIT]
        for rows in chosen.blocks(*chosen.activations(area)):
            values[rows, start:stop] = chosen.units(area, rows).values.transpose(0, 2, 1)
        start = stop
    attrs = chosen.recording.attrs
    described: dict[str, str] = {
        str(name): str(attrs[name]) for name in ("model", "dataset") if name in attrs}
    described[provenance.NAME] = provenance.text(chosen.origin())
    table = chosen.table()
    return TemporalDataset(
        values,
        descriptors=described,
        obs_descriptors={schema.TRIAL: chosen.trials,
                         **{str(name): _text(table[name].to_numpy()) for name in table}},
        channel_descriptors={
            "region": np.repeat(list(places), [one.sizes[schema.UNIT] for one in places.values()]),
            **_places(list(places.values()))},
        time_descriptors={schema.TIME: chosen.time_ms, schema.STEP: chosen.steps},
    )


def write(chosen: Selection, path: Path) -> None:
    """Write a selection as rsatoolbox's ``load_dataset`` reads it.

    Parameters
    ----------
    chosen
        What to write.
    path
        A new file.

    Raises
    ------
    RecordingError
        As :func:`dataset`, and if a text is not ASCII, which rsatoolbox's files must be.
    """
    made = dataset(chosen)
    described = {**made.obs_descriptors, **made.channel_descriptors}
    for name, column in described.items():
        values = np.asarray(column)
        strange = [str(text) for text in np.unique(values) if not str(text).isascii()]
        if strange:
            raise RecordingError(f"rsatoolbox's files hold ASCII text only, and {name} has "
                                 f"'{strange[0]}': rename it, or export to another format")
    made.save(str(path), file_type="hdf5")


def _text(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind in "biuf" else values.astype(str)


def _places(areas: list[xr.DataArray]) -> dict[str, np.ndarray]:
    found = {}
    for name in (schema.CHANNEL, schema.ROW, schema.COLUMN):
        if any(name in units.coords for units in areas):
            found[name] = np.concatenate([
                np.asarray(units[name].values) if name in units.coords
                else np.full(units.sizes[schema.UNIT], -1) for units in areas])
    return found
