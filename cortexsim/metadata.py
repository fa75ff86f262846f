"""What a recording says of itself: checked before anything in it is decoded.

A recording may come from anyone. Only Zarr v3 is read, with the few types of numbers and codecs
that recordings have (one of Zarr's codecs unpickles, which can run code), of arrays whose sizes
agree with each other, and nothing that leads out of its folder. Its attributes are checked here
once, for all that use them later.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import places, schema, yamlio
from .errors import RecordingError, SimulationError

FILE = "zarr.json"
#: Of the file of metadata, of a chunk of an array in memory, and of the values of all arrays of
#: one axis together, some of which are read when a recording is opened: each group has its own
#: copy of the coordinates, so that a million trials in ten areas have about 80 million.
MAX_BYTES, MAX_CHUNK, MAX_COORDS = 20_000_000, 2**30, 100_000_000
#: Chunks of an array.
MAX_CHUNKS = 2_000_000

_KINDS = {"bool": "b", "string": "T", **{f"{sign}int{bits}": "i" for sign in ("", "u")
                                         for bits in (8, 16, 32, 64)},
          **{f"float{bits}": "f" for bits in (16, 32, 64)}}
_CODECS = {"bytes", "vlen-utf8", "zstd", "transpose"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TRIALS, _MAP = (schema.TRIAL,), (schema.TRIAL, schema.TIME)
#: Axes of an array, and the kinds of its values.
_ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    schema.SCORES: ((*_MAP, schema.CLASS), "f"), schema.SHOWN: (_MAP, "T"),
    schema.ASKED: (_MAP, "T"), schema.SHOWN_LABEL: (_MAP, "i"), schema.ASKED_LABEL: (_MAP, "i"),
    schema.POPULATED: (_MAP, "b"), schema.RMS: (_MAP, "f"),
    **{name: (_MAP, "f") for name in schema.SUMMARIES},
    schema.TIME: ((schema.TIME,), "if"), schema.STEP: ((schema.TIME,), "i"),
    schema.CLASS: ((schema.CLASS,), "T"), schema.LABEL: (_TRIALS, "i"),
    schema.STIMULUS: (_TRIALS, "T"), schema.CONDITION: (_TRIALS, "T"),
    schema.DONE: ((schema.CHUNK,), "i"), schema.TRIAL: (_TRIALS, "i"),
}
_COORDS = (schema.TIME, schema.STEP, schema.CLASS, schema.LABEL, schema.STIMULUS, schema.CONDITION)

Count = Annotated[int, Field(ge=0)]
Ms = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    # further attributes are other versions' business, and the user's
    model_config = ConfigDict(strict=True, extra="allow")


class _Record(_Part):
    areas: list[str]
    every: Annotated[int, Field(ge=1)]
    from_step: Count
    until_step: Count
    reduce: str
    dtype: str
    summaries: list[str]


class _Named(_Part):
    model: str | None
    dataset: str | None
    sources: dict[str, str]


class _Experiment(_Part):
    model: str | None
    dataset: str | None
    data_root: str | None
    protocol: _Named


class Attributes(_Part):
    """Those of a recording's root."""

    model: str = ""
    weights_sha256: str = ""
    state_sha256: str = ""
    protocol: str = ""
    graph: str = ""
    dataset: str = ""
    split: str = "test"
    trials: Count = 0
    seed: Count = 0
    device: str = ""
    precision: str = ""
    microbatch: Count | None = None
    reduce: str = ""
    record: _Record | None = None
    images_sha256: str = ""
    ms_per_step: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    arrival_ms: Ms = 0.0
    readout_ms: Ms | None = None
    beyond: str = ""
    statistics: str = ""
    versions: dict[str, str | None] = {}
    computed_on: list[dict[str, str]] = []
    workers: Count = 0
    created: str = ""
    command: str = ""
    experiment: _Experiment | None = None
    resumed: list[dict[str, Any]] = []
    complete: bool


def check(path: Path) -> None:
    """Refuse a store that is no recording, before anything in it is decoded.

    Parameters
    ----------
    path
        The recording.

    Raises
    ------
    RecordingError
        If its metadata are not those of a recording of ours.
    """
    whole = read(path)
    if whole.get("zarr_format") != 3 or whole.get("node_type") != "group":
        raise RecordingError(f"{path} is not a recording of CortexSim (it is no group of Zarr v3)")
    _check_links(path)
    joined = whole.get("consolidated_metadata")
    members = joined.get("metadata") if isinstance(joined, dict) else None
    if not isinstance(members, dict):
        if whole["attributes"].get("complete") is True:
            raise RecordingError(f"{path} is damaged: {FILE} does not say which arrays there are")
        members = {}
    try:
        _check_members(members)
    except ValueError as problem:
        raise RecordingError(f"{path} is not a recording of CortexSim ({problem})") from None


def read(path: Path) -> dict[str, Any]:
    """Return the metadata of a store's root, with attributes that have the right form.

    Raises
    ------
    RecordingError
        If it is not Zarr v3, or has attributes of another form than a recording.
    """
    file = path / FILE
    try:
        with places.faults():
            if not file.is_file():
                raise ValueError(f"it has no {FILE}: only Zarr v3 is read")
            if file.stat().st_size > MAX_BYTES:
                raise ValueError(f"{FILE} has more than {MAX_BYTES:,} bytes")
            text = file.read_text(encoding="utf-8")
        whole = json.loads(text)
        if not isinstance(whole, dict) or not isinstance(whole.get("attributes"), dict):
            raise ValueError("it is no group of Zarr v3")
        _check_attributes(whole["attributes"])
    except UnicodeDecodeError:
        raise RecordingError(f"{path} is not a recording of CortexSim ({FILE} is no text)"
                             ) from None
    except OSError as problem:
        raise RecordingError(f"{path} cannot be read ({places.reason(problem)}); check your access "
                             "to it") from None
    except (ValueError, RecursionError) as problem:
        said = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{path} is not a recording of CortexSim ({said})") from None
    return whole


def check_new(attrs: Mapping[str, Any]) -> None:
    """Refuse attributes with which a recording could not be opened again.

    Raises
    ------
    SimulationError
        Naming the first that has another form.
    """
    try:
        _check_attributes({**attrs, "complete": False})
    except ValueError as problem:
        raise SimulationError(f"the recording could not be opened again: {problem}") from None


def _check_attributes(attrs: dict[str, Any]) -> None:
    strange = yamlio.strange(attrs)
    if strange:
        raise ValueError(f"its attributes hold {strange}")
    if "complete" not in attrs or attrs.get("format") not in range(1, schema.FORMAT_VERSION + 1):
        return  # of something else, or a newer one: formats says so
    try:
        Attributes.model_validate(attrs)
    except ValidationError as found:
        first = found.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        said = first["msg"].replace("Input should", "should")
        raise ValueError(f"its attribute '{at}' has another form: it {said}") from None


def _check_links(path: Path) -> None:
    """Refuse links that lead out of a folder."""
    if places.far(path):
        return
    root, folders = path.resolve(), [str(path)]
    while folders:
        with os.scandir(folders.pop()) as found:
            for item in found:
                if item.is_symlink() and not Path(item.path).resolve().is_relative_to(root):
                    raise RecordingError(f"{item.path} leads out of the recording's folder: put "
                                         "the file itself there")
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)


def _check_members(members: Mapping[str, Any]) -> None:
    """Raise ValueError for the first group or array that no recording has."""
    coords = 0
    for name, member in members.items():
        parts = name.split("/")
        if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
            raise ValueError(f"it has a part {name!r}")
        if not isinstance(member, dict) or member.get("zarr_format") != 3 or not isinstance(
                member.get("attributes", {}), dict):
            raise ValueError(f"{name} is not of Zarr v3")
        strange = yamlio.strange(member.get("attributes", {}))
        if strange:
            raise ValueError(f"the attributes of {name} hold {strange}")
        if member.get("node_type") == "group":
            continue
        if member.get("node_type") != "array":
            raise ValueError(f"{name} is neither a group nor an array")
        shape, axes = _check_array(name, member)
        if len(axes) == 1:
            coords += shape[0]
    if coords > MAX_COORDS:
        raise ValueError(f"its coordinates have {coords:,} values, more than {MAX_COORDS:,}")
    done = members.get(schema.DONE)
    if done is not None:
        about = done.get("attributes", {})
        arrays, trials = about.get("arrays"), about.get("chunk_trials")
        if type(trials) is not int or trials < 1 or not isinstance(arrays, list) or not all(
                isinstance(name, str) and members.get(name, {}).get("node_type") == "array"
                for name in arrays):
            raise ValueError(f"{schema.DONE} does not say which arrays are written, and in what "
                             "chunks")


def _check_array(name: str, about: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    kind = _KINDS.get(str(about.get("data_type")))
    shape: Any = about.get("shape")
    axes: Any = about.get("dimension_names")
    grid: Any = about.get("chunk_grid")
    keys = about.get("chunk_key_encoding")
    if kind is None:
        raise ValueError(f"{name} holds {str(about.get('data_type'))[:40]!r}, which is no type of "
                         "numbers or text of a recording")
    codecs = about.get("codecs")
    named = [codec.get("name") if isinstance(codec, dict) else None
             for codec in codecs] if isinstance(codecs, list) else [None]
    if not named or len(named) > 4 or not {*map(str, named)} <= _CODECS:
        raise ValueError(f"{name} is coded by {str(named)[:60]}; only {', '.join(sorted(_CODECS))} "
                         "are decoded")
    if about.get("storage_transformers") not in (None, [], ()):
        raise ValueError(f"{name} has storage transformers, which are not read")
    chunks: Any = grid.get("configuration", {}).get("chunk_shape") if (
        _is(grid, "regular") and isinstance(grid.get("configuration", {}), dict)) else None
    if not _is(keys, "default") or not all(
            isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes)
            for sizes in (shape, chunks)):
        raise ValueError(f"{name} has no shape, or no chunks")
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes) or not (
            len(shape) == len(chunks) == len(axes) > 0):
        raise ValueError(f"the axes of {name} are not named")
    wanted = _ARRAYS.get(name.split("/")[-1])
    if wanted is not None and (tuple(axes) != wanted[0] or kind not in wanted[1]):
        raise ValueError(f"{name} has other axes or values than in a recording")
    if name.endswith(schema.ACTIVATION) and (tuple(axes[:2]) != _MAP or kind != "f"):
        raise ValueError(f"{name} has other axes or values than in a recording")
    bits = re.search(r"[0-9]+$", str(about["data_type"]))
    width = int(bits[0]) // 8 if bits else 16
    if math.prod(chunks) * width > MAX_CHUNK:
        raise ValueError(f"a chunk of {name} takes {math.prod(chunks) * width / 2**30:,.0f} GiB of "
                         f"memory, more than {MAX_CHUNK / 2**30:.0f}")
    if math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True)) > MAX_CHUNKS:
        raise ValueError(f"{name} has more than {MAX_CHUNKS:,} chunks")
    return list(shape), list(axes)


def _is(part: Any, name: str) -> bool:
    return isinstance(part, dict) and part.get("name") == name


def check_coordinates(tree: Any, path: Path) -> None:
    """Refuse a recording whose trials, times or labels make no sense.

    Parameters
    ----------
    tree
        The recording, open (:class:`xarray.DataTree`).
    path
        Where it is.

    Raises
    ------
    RecordingError
        If a coordinate is missing, times or steps do not rise, or a label names no class.
    """
    try:
        missing = [name for name in _COORDS if name not in tree.coords]
        if missing:
            raise ValueError(f"it lacks {' and '.join(missing)}")
        for name in (schema.TIME, schema.STEP):
            values = np.asarray(tree.coords[name].values)
            if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
                raise ValueError(f"its {name} does not rise")
        labels = np.asarray(tree.coords[schema.LABEL].values)
        if labels.size and not -1 <= labels.min() <= labels.max() < tree.sizes[schema.CLASS]:
            raise ValueError("a label names no class")
    except (ValueError, TypeError, KeyError, RuntimeError, MemoryError, OSError) as problem:
        said = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{path} is damaged: {said}") from None
