"""What a protocol fixed before any result was seen: the readout of the summary."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from ..errors import RecordingError, unknown
from . import recording as rec


@dataclass(frozen=True)
class Settings:
    """The readout a protocol fixed beforehand.

    Parameters
    ----------
    readout_ms
        Time of the summary's readout, or None for the last possible one.
    evidence_ms
        First and last readout time over which evidence is summed, or None.
    by
        The factor on the summary's axis, or None.
    split
        The text factor that sets curves apart (the mask), or None.
    name
        The protocol's name.
    """

    readout_ms: float | None = None
    evidence_ms: tuple[float, float] | None = None
    by: str | None = None
    split: str | None = None
    name: str = ""


def settings(recording: xr.DataTree) -> Settings:
    """Read the summary's settings from the recorded protocol.

    Returns
    -------
    Settings
        ``by`` is the protocol's, or else the first factor with numbers;
        ``split`` is ``mask``, or else the first other factor with words.

    Raises
    ------
    RecordingError
        If the protocol names a factor the recording does not have.
    """
    readout: float | None = None
    evidence: tuple[float, float] | None = None
    by, name = None, ""
    if recording.attrs.get("protocol"):
        from ..stimuli.protocol import Protocol

        protocol = Protocol.from_text(recording.attrs["protocol"])
        name = protocol.name
        by = protocol.summary.by if protocol.summary else None
        # by index: at 60 Hz the file says 183 ms and the axis 183.333
        if protocol.readout_index is not None:
            readout = protocol.clock.ms(protocol.readout_index)
        if protocol.evidence_indices:
            first, last = protocol.evidence_indices[0], protocol.evidence_indices[-1]
            evidence = (protocol.clock.ms(first), protocol.clock.ms(last))
    # where the network could not be read at the protocol's time
    readout = recording.attrs.get("readout_ms", readout)
    known = rec.factors(recording)
    if by is not None and by not in known:
        raise RecordingError(unknown("factor", by, known))
    by = by or next((factor for factor in known if rec.numeric(recording, factor)), None)
    words = [factor for factor in known if factor != by and not rec.numeric(recording, factor)]
    split = "mask" if "mask" in words else next(iter(words), None)
    return Settings(readout, evidence, by, split, name)
