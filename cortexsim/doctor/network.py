"""The self-test: a short experiment, from the images to the table, with a known answer.

The answer lies in ``data/selftest/answer.json``; :mod:`cortexsim.doctor.answer` makes it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import resources
from ..errors import CortexSimError
from .section import Section

if TYPE_CHECKING:
    import numpy as np

#: Largest difference of a number, as a share of the largest number of its kind. Between kinds
#: of processors, or without oneDNN, float32 adds in another order: we saw 3e-6 at most.
TOLERANCE = 1e-4
PROTOCOL, ANSWER = "protocol.yaml", "answer.json"


def selftest(section: Section) -> None:
    """Run the experiment on each kind of device, and compare with the known answer."""
    import torch

    expected = json.loads((folder() / ANSWER).read_text(encoding="utf-8"))
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        began = time.perf_counter()
        try:
            found = measure(device)
        except CortexSimError as problem:
            section.faults.append(f"the self-test on {device} failed: {problem}")
            continue
        said, same = compare(found, expected)
        section.say(device, f"{said}; {time.perf_counter() - began:.1f} s")
        if not same:
            section.faults.append(f"the self-test on {device} DIFFERS from the known answer: do "
                                  "not trust results of this installation, and please report it")


def measure(device: str = "cpu") -> dict[str, Any]:
    """Run the experiment into a temporary folder, open it, and return what it gives.

    Returns
    -------
    dict
        ``accuracy`` by condition, ``scores`` (trial x class) and ``rms`` of each area (per
        trial) at the protocol's readout, and ``sha256`` of all that was recorded.
    """
    from .. import analysis, experiment, schema
    from ..analysis.settings import settings

    with tempfile.TemporaryDirectory(prefix="cortexsim-doctor-") as place:
        run = experiment.run(folder() / PROTOCOL, out=Path(place) / "run", device=device,
                             figure=False)
        run.recording.close()
        made = run.folder / schema.RECORDING
        analysis.verify(made)
        with analysis.open(made) as recording:
            readout = {schema.TIME: settings(recording).readout_ms}
            areas = analysis.recording.areas(recording)
            whole = [recording.dataset[schema.SCORES].values] + [
                recording[area].dataset[name].values for area in areas
                for name in (schema.RMS, schema.ACTIVATION)]
            table = analysis.accuracy(recording, by=["soa_ms", "mask"])
            return {
                "accuracy": {f"{soa:g} ms, {mask}": round(float(right), 6)
                             for soa, mask, right in table[["soa_ms", "mask", "accuracy"]].values},
                "scores": _listed(recording.dataset[schema.SCORES].sel(readout).values),
                "rms": {area: _listed(recording[area].dataset[schema.RMS].sel(readout).values)
                        for area in areas},
                "sha256": hashlib.sha256(b"".join(part.tobytes() for part in whole)).hexdigest(),
            }


def compare(found: dict[str, Any], expected: dict[str, Any]) -> tuple[str, bool]:
    """Say how near an answer is to the known one, and whether that is near enough.

    Parameters
    ----------
    found, expected
        From :func:`measure`.
    """
    if found["sha256"] == expected["sha256"]:
        return "the known answer, to the bit", True
    pairs = [(found["scores"], expected["scores"]),
             *((found["rms"].get(area), known) for area, known in expected["rms"].items())]
    far = max(_distance(*pair) for pair in pairs)
    # a trial in which two classes are as good as even may go to the other
    wrong = [f"{name} {found['accuracy'].get(name)} in place of {value}"
             for name, value in expected["accuracy"].items()
             if found["accuracy"].get(name) != value]
    said = f"largest difference {far:.1e} of the largest number"
    if wrong:
        said += f"; accuracy: {', '.join(wrong)}"
    if far <= TOLERANCE and not wrong:
        return f"the known answer within the tolerance of {TOLERANCE:g} ({said})", True
    return f"DIFFERS from the known answer ({said}; allowed: {TOLERANCE:g})", False


def _distance(found: object, known: object) -> float:
    import numpy as np

    one, other = np.array(found, dtype=float), np.array(known, dtype=float)
    if one.shape != other.shape:
        return float("inf")
    away = np.abs(one - other).max() / np.abs(other).max()
    return float(away) if np.isfinite(away) else float("inf")


def _listed(values: np.ndarray) -> Any:
    import numpy as np

    # the shortest decimals that give the same float32
    return np.vectorize(lambda value: float(str(value)), otypes=[float])(values).tolist()


def folder() -> Path:
    """Return where the protocol and its known answer lie."""
    return resources.folder("data") / "selftest"
