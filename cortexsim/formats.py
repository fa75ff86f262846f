"""What the numbers of formats promise, and how what has an older one is read.

A recording and a checkpoint each say the number of their format. It goes up when a reader of
the number before would misread what is new; what is only added leaves it as it is. This
CortexSim reads every number up to its own, and brings what it reads to its own here; files
stay as they are. A newer one is refused.

Recordings: 2 adds the attributes ``trials`` and ``record``, activity in float16 and arrays
whose axes lie in another order on disk, which a reader of 1 would take for damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import schema
from .errors import CheckpointError, RecordingError

if TYPE_CHECKING:
    import xarray as xr

_NETWORK, NETWORK_VERSION = "cortexsim-network-", 1
#: What a checkpoint's card says.
NETWORK = f"{_NETWORK}{NETWORK_VERSION}"


def check_recording(path: Path, version: object) -> None:
    """Refuse a recording of a format that this CortexSim does not know.

    Raises
    ------
    RecordingError
        If a newer CortexSim wrote it, or none did.
    """
    if type(version) is not int or version < 1:  # True is an int, too
        raise RecordingError(f"{path} says that its format is {version!r}, which is none of "
                             "CortexSim's recordings")
    if version > schema.FORMAT_VERSION:
        raise RecordingError(
            f"{path} has recording format {version}; this CortexSim reads up to "
            f"{schema.FORMAT_VERSION}: update it")


def check_network(path: Path, given: object) -> None:
    """Refuse the card of a checkpoint of a format that this CortexSim does not know.

    Raises
    ------
    CheckpointError
        If a newer CortexSim wrote it, or none did.
    """
    number = given.removeprefix(_NETWORK) if isinstance(given, str) else ""
    if given == f"{_NETWORK}{number}" and number.isdecimal() and 0 < int(number):
        if int(number) <= NETWORK_VERSION:
            return
        raise CheckpointError(f"{path}: has checkpoint format {number}; this CortexSim reads up "
                              f"to {NETWORK_VERSION}: update it")
    raise CheckpointError(
        f"{path}: not a CortexSim checkpoint (format {given!r}, not {NETWORK!r})")


def upgrade(recording: xr.DataTree) -> None:
    """Bring the attributes of a complete recording of an older format to the present one.

    Its format says what it is on disk, still.
    """
    for version in range(recording.attrs["format"], schema.FORMAT_VERSION):
        recording.attrs = {**_ADDED[version](recording), **recording.attrs}


def _added_to_1(recording: xr.DataTree) -> dict[str, Any]:
    """Return what format 2 says of its trials and of what is kept, from the arrays themselves."""
    steps = recording.coords[schema.STEP].values.tolist()
    areas = [name for name, group in recording.children.items() if schema.RMS in group.data_vars]
    return {"trials": recording.sizes[schema.TRIAL],
            "record": {"areas": areas, "every": steps[1] - steps[0] if len(steps) > 1 else 1,
                       "from_step": steps[0], "until_step": steps[-1],
                       "reduce": recording.attrs.get("reduce", "none"), "dtype": "float32",
                       "summaries": []}}


#: What the format after each number adds to the attributes.
_ADDED: dict[int, Callable[[xr.DataTree], dict[str, Any]]] = {1: _added_to_1}
