"""When IT-like structure appears: RDMs of areas beside those of monkey and human IT.

The reference is the published one of 92 objects: monkey IT, 674 cells of two macaques (Kiani et
al. 2007, J Neurophysiol 97:4296), and human IT, 316 voxels in each of four people (Kriegeskorte
et al. 2008, Neuron 60:1126). Both are dissimilarities of whole responses, 1 minus a correlation:
they have no axis of time. Their files do not come along; a path says where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import places, schema
from ...errors import DatasetError, RecordingError, ReferenceFileError
from ...stimuli import objects92
from ..latency import curves, onsets
from . import comparing, dissimilarity
from .dissimilarity import FIRST, PAIR, SECOND

#: The file with the four people's RDMs, beside the one with the images.
SUBJECTS_FILE = "92_brainRDMs.mat"
MONKEY, HUMAN = "monkey IT", "human IT"
MONKEY_RDM, HUMAN_RDM = "mIT", "hIT"
CITATION = ("Kriegeskorte et al. 2008, Neuron 60:1126; Kiani et al. 2007, J Neurophysiol 97:4296")
#: With fewer images there is little left of a resample.
FEWEST = 10
#: Why monkey IT has no noise ceiling.
ONE_RDM = "one RDM, so no noise ceiling"
MOMENTS = ("arrival", "onset", "peak")


@dataclass(frozen=True)
class InferotemporalRDMs:
    """RDMs of monkey and human IT.

    Attributes
    ----------
    stimuli
        Ids of the objects, as :mod:`cortexsim.stimuli.objects92` gives them.
    monkey, human
        ``(pair,)``: the monkeys', and the mean of the people's.
    humans
        ``(subject, pair)``: each person's, averaged over sessions; without rows if the file
        with them is not there.
    """

    stimuli: tuple[str, ...]
    monkey: np.ndarray
    human: np.ndarray
    humans: np.ndarray

    @property
    def targets(self) -> dict[str, np.ndarray]:
        """What a model is compared with: RDMs ``(n, pair)``, over which similarity is averaged."""
        return {MONKEY: self.monkey[None],
                HUMAN: self.humans if len(self.humans) else self.human[None]}

    def take(self, places: np.ndarray) -> InferotemporalRDMs:
        """Return the RDMs of these stimuli, in this order."""
        first, second = (places[part] for part in np.triu_indices(len(places), 1))

        def part(rdm: np.ndarray) -> np.ndarray:
            pairs: np.ndarray = dissimilarity.square(rdm)[first, second]
            return pairs

        return InferotemporalRDMs(tuple(self.stimuli[place] for place in places),
                                  part(self.monkey), part(self.human),
                                  np.array([part(rdm) for rdm in self.humans]).reshape(
                                      -1, len(first)))


def load_it(path: str | Path) -> InferotemporalRDMs:
    """Read the published RDMs of monkey and human IT.

    Parameters
    ----------
    path
        The folder with ``Kriegeskorte_Neuron2008_supplementalData.mat`` and, for each
        person's RDM and so the noise ceiling, ``92_brainRDMs.mat``; or the first file, which
        the second may lie beside.

    Raises
    ------
    ReferenceFileError
        If a file is not there, cannot be read, or holds something else.
    """
    place = places.expanded(path)
    file = place / objects92.FILE if place.is_dir() else place
    wanted = (f"give the folder with {objects92.FILE}, the supplement of Kriegeskorte et al. 2008")
    try:
        content = objects92.matlab(file, wanted)
        _, labels = objects92.read(file)
    except DatasetError as problem:
        raise ReferenceFileError(str(problem)) from None
    found = _structs(content, "RDMs_mIT_hIT_fig1")
    names = [str(np.ravel(entry["name"])[0]) for entry in found.ravel()]
    chosen = [next((i for i, name in enumerate(names) if name.startswith(start)), None)
              for start in (MONKEY_RDM, HUMAN_RDM)]
    if None in chosen:
        raise ReferenceFileError(
            f"{file} has no RDMs of monkey and human IT: of RDMs_mIT_hIT_fig1 it has "
            f"{', '.join(names) or 'nothing'}, and {MONKEY_RDM}... and {HUMAN_RDM}... are needed")
    monkey, human = (_vector(found.ravel()[i]["RDM"], file) for i in chosen)
    ids = tuple(objects92.ids(labels))
    return InferotemporalRDMs(ids, monkey, human, _subjects(file.parent / SUBJECTS_FILE))


def matched(found: xr.DataArray, it: InferotemporalRDMs) -> InferotemporalRDMs:
    """Return IT's RDMs of a recording's stimuli, matched by their ids.

    Parameters
    ----------
    found
        From :func:`cortexsim.analysis.representations.rdms`.
    it
        From :func:`load_it`.

    Raises
    ------
    RecordingError
        If a stimulus is none of the objects, or fewer than ten are shown; the message names them.
    """
    place = {name: i for i, name in enumerate(it.stimuli)}
    names = dissimilarity.stimuli_of(found)
    strange = [name for name in names if name not in place]
    if strange:
        raise RecordingError(
            f"{len(strange)} of {len(names)} stimuli, such as '{strange[0]}', are none of the "
            f"{len(it.stimuli)} objects whose RDMs in IT are known ({it.stimuli[0]}, ...): run "
            "'cortexsim run objects92 --dataset PATH' with the path of the published file")
    if len(names) < FEWEST:
        missing = [name for name in it.stimuli if name not in set(names)]
        raise RecordingError(
            f"{len(names)} of the {len(it.stimuli)} objects are too few for a comparison with IT: "
            f"{FEWEST} are needed at least; missing are {', '.join(missing[:3])}, ...")
    return it.take(np.array([place[name] for name in names]))


def similarity_to_it(
    found: xr.DataArray,
    it: InferotemporalRDMs,
    *,
    method: str = "spearman",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare each area's RDM with IT's over time.

    Parameters
    ----------
    found
        From :func:`cortexsim.analysis.representations.rdms`, of some or all of the objects.
    it
        From :func:`load_it`.
    method
        As in :func:`cortexsim.analysis.representations.similarity`. That with human IT is the mean
        of the similarities with each person's RDM, which is what the noise ceiling is of.
    confidence
        Coverage of the intervals (percentiles of a bootstrap over images; the people are
        fixed, so they hold for these four).
    resamples
        Bootstrap samples; 0 leaves the intervals out.
    seed
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per area, reference (``monkey IT``, ``human IT``) and time: ``area``,
        ``reference``, ``step``, ``time_ms``, ``similarity``, ``low``, ``high``, ``n`` images,
        ``note``. NaN where the area has no RDM.
    pandas.DataFrame
        One row per area, reference and measure: ``arrival``, the first time at which there is
        an RDM; ``onset``, where the similarity first reaches half its maximum; ``peak``, its
        maximum; with ``step``, ``ms``, ``ms_low``, ``ms_high``, the ``similarity`` there with
        ``low`` and ``high``; ``gain``, by how much it exceeds that at arrival, and
        ``above_first``, by how much it exceeds that of the first area at the same time, with
        ``gain_low`` and so on. A peak is the largest of many times: its similarity
        and gain are a little too large, most of all where the curve is flat.

    Raises
    ------
    RecordingError
        If the stimuli are not the objects, or the method is unknown.
    """
    chosen = matched(found, it)
    shape = (found.sizes["area"], found.sizes[schema.TIME])
    flat = found.transpose("area", schema.TIME, PAIR).values.reshape(-1, found.sizes[PAIR])
    table, moments = [], []
    # the same resamples for both species, and ranks found once
    targets = np.concatenate([*chosen.targets.values()])
    points = comparing.compared(flat, targets, method)
    samples = (comparing.bootstrap(flat, targets, method, resamples, seed) if resamples
               else np.full((1, *points.shape), np.nan))
    start = 0
    for name, rdms in chosen.targets.items():
        part = slice(start, start + len(rdms))
        start = part.stop
        whole = points[:, part].mean(axis=1).reshape(shape)
        drawn = samples[:, :, part].mean(axis=2).reshape(-1, *shape)
        low, high = comparing.bounds(drawn, confidence)
        for row, area in enumerate(map(str, found["area"].values)):
            said = {"area": area, "reference": name}
            table.append(pd.DataFrame({
                **said, "step": found[schema.STEP].values, "time_ms": found[schema.TIME].values,
                "similarity": whole[row], "low": low[row], "high": high[row],
                "n": len(chosen.stimuli),
                "note": np.where(np.isfinite(whole[row]), "", "no RDM at this time")}))
            for moment in _moments(row, whole, drawn, found, confidence):
                moments.append({**said, **moment, "n": len(chosen.stimuli)})
    return pd.concat(table, ignore_index=True), pd.DataFrame(moments)


def yardsticks(it: InferotemporalRDMs, *, method: str = "spearman", confidence: float = 0.95,
               resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return what a similarity with IT can be expected to be.

    Parameters
    ----------
    it
        From :func:`load_it`.
    method, confidence, resamples, seed
        As in :func:`similarity_to_it`.

    Returns
    -------
    pandas.DataFrame
        One row per reference: ``ceiling_low`` and ``ceiling_high``, the noise ceiling (Nili et
        al. 2014, PLoS Comput Biol 10:e1003553; rsatoolbox): the mean similarity of each
        person's RDM with that of the others and with that of all; NaN for monkey IT, of which
        one RDM is published. And ``other_species`` with ``low`` and ``high``: how similar the
        other species' RDM is, measured as a model's is.
    """
    rows = []
    other = {MONKEY: it.human[None], HUMAN: it.monkey[None]}
    for name, targets in it.targets.items():
        low, high = ceiling(targets, method)
        drawn = comparing.bootstrap(other[name], targets, method, resamples, seed).mean(axis=2)
        ends = comparing.bounds(drawn[:, 0], confidence) if resamples else (np.nan, np.nan)
        rows.append({
            "reference": name, "ceiling_low": low, "ceiling_high": high,
            "other_species": comparing.compared(other[name], targets, method).mean(),
            "low": float(ends[0]), "high": float(ends[1]), "n": len(it.stimuli),
            "note": ONE_RDM if len(targets) < 2 else f"{len(targets)} people"})
    return pd.DataFrame(rows)


def ceiling(rdms: np.ndarray, method: str = "spearman") -> tuple[float, float]:
    """Return the lower and upper bound of the noise ceiling of RDMs ``(subject, pair)``.

    NaN if there is one only: nothing says then how much of it is noise.
    """
    from rsatoolbox.inference import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    if len(rdms) < 2:
        return np.nan, np.nan
    low, high = boot_noise_ceiling(RDMs(rdms), method=comparing.METHODS[method])
    return float(low), float(high)


def as_rdms(it: InferotemporalRDMs) -> xr.DataArray:
    """Return IT's mean RDMs as ``(reference, pair)``, to be drawn or measured as a model's are."""
    names = np.array(it.stimuli, dtype=object)
    first, second = np.triu_indices(len(names), 1)
    return xr.DataArray(np.stack([it.monkey, it.human]), dims=("reference", PAIR),
                        coords={"reference": [MONKEY, HUMAN], FIRST: (PAIR, names[first]),
                                SECOND: (PAIR, names[second])},
                        attrs={"method": "correlation"}, name="dissimilarity")


def _moments(row: int, wholes: np.ndarray, draws: np.ndarray, found: xr.DataArray,
             confidence: float) -> list[dict[str, Any]]:
    """Say when an area's similarity begins, rises and peaks, and what it is then."""
    whole, drawn = wholes[row], draws[:, row]
    some = np.flatnonzero(np.isfinite(whole))
    step, time = (np.asarray(found[name].values, dtype=float)
                  for name in (schema.STEP, schema.TIME))
    rows: list[dict[str, Any]] = []
    for measure in MOMENTS:
        at, note, ends = np.nan, "no RDM at any time", (np.nan, np.nan)
        if len(some) and measure == "arrival":
            at, note = float(some[0]), ""
        elif len(some):
            at, note, ends = _place(whole, drawn, measure, confidence)
        said: dict[str, Any] = {"measure": measure, "step": curves.value_at(at, step),
                                "ms": curves.value_at(at, time),
                                "ms_low": curves.value_at(ends[0], time),
                                "ms_high": curves.value_at(ends[1], time)}
        begin = some[:1] if len(some) else np.zeros(1, int)
        for name, curve, resampled in (
                ("", whole, drawn),
                ("gain", whole - whole[begin], drawn - drawn[:, begin]),
                ("above_first", whole - wholes[0], drawn - draws[:, 0])):
            there = np.array([_at(values, at) for values in (curve, *resampled)])
            low, high = (comparing.bounds(there[1:], confidence)
                         if np.isfinite(there).all() else (np.nan, np.nan))
            said |= {name or "similarity": there[0], f"{name}_low".strip("_"): low,
                     f"{name}_high".strip("_"): high}
        rows.append({**said, "note": note})
    return rows


def _place(whole: np.ndarray, drawn: np.ndarray, measure: str,
           confidence: float) -> tuple[float, str, tuple[float, float]]:
    """Find the onset or the peak of a similarity, with its interval and a note."""
    if np.nanmax(whole) <= 0:
        return np.nan, "never above 0", (np.nan, np.nan)
    find = curves.peaks if measure == "peak" else curves.half_maxima
    at = float(find(whole[None])[0])
    note = ""
    if np.isnan(at):
        flat = bool(curves.plateau(whole[None])[0])
        note = onsets.ON_PLATEAU if flat else onsets.NOT_SATURATED
    elif at == np.flatnonzero(np.isfinite(whole))[0]:
        note = onsets.AT_ARRIVAL
    if not np.isfinite(drawn).any():  # no resamples
        return at, note, (np.nan, np.nan)
    # a resample that is never similar has no half of its maximum
    alike = drawn[np.nanmax(drawn, axis=1) > 0]
    placed = find(alike)
    placed = placed[np.isfinite(placed)]
    share = 1 - len(placed) / len(drawn)
    if np.isnan(at) or share > curves.UNPLACED:
        doubt = f"not so in {100 * share:.0f} % of resamples" if np.isfinite(at) else ""
        return at, "; ".join(filter(None, (note, doubt))), (np.nan, np.nan)
    low, high = comparing.bounds(placed, confidence)
    return at, note, (float(low), float(high))


def _at(curve: np.ndarray, place: float) -> float:
    if not np.isfinite(place):
        return np.nan
    below = int(place)
    above = min(below + 1, len(curve) - 1)
    part = place - below
    return float(curve[below] if part == 0 else (1 - part) * curve[below] + part * curve[above])


def _subjects(file: Path) -> np.ndarray:
    """Read each person's RDM, averaged over sessions, ``(subject, pair)``; none if no file."""
    pairs = objects92.COUNT * (objects92.COUNT - 1) // 2
    if not file.is_file():
        return np.empty((0, pairs))
    try:
        found = _structs(objects92.matlab(file, ""), "RDMs")
    except DatasetError as problem:
        raise ReferenceFileError(str(problem).rstrip("; ")) from None
    if not found.size:
        raise ReferenceFileError(f"{file} does not hold RDMs of people and sessions (RDMs, 1 x "
                                 "subjects x sessions, each with name and RDM)")
    table = found.reshape(-1, found.shape[-1]) if found.ndim == 3 else found.reshape(-1, 1)
    return np.array([np.mean([_vector(entry["RDM"], file) for entry in person], axis=0)
                     for person in table])


def _structs(content: Mapping[str, Any], name: str) -> np.ndarray:
    """Return structs with a name and an RDM, empty if there are none."""
    found = np.asarray(content.get(name, ()))
    held = found.dtype.names is not None and {"name", "RDM"} <= {*found.dtype.names}
    return found if held else np.empty(0)


def _vector(values: Any, file: Path) -> np.ndarray:
    """Return a published RDM, a matrix or its triangle, as ``(pair,)``."""
    values = np.asarray(values, dtype=np.float64)
    count = objects92.COUNT
    if values.shape == (count, count):
        if not np.allclose(values, values.T, equal_nan=True):
            raise ReferenceFileError(f"{file} has an RDM that is not symmetric")
        values = values[np.triu_indices(count, 1)]
    if values.size != count * (count - 1) // 2:
        raise ReferenceFileError(f"{file} has an RDM of {values.shape} numbers, not of {count} "
                                 f"objects: {count * (count - 1) // 2} pairs")
    if not np.isfinite(values).all():
        raise ReferenceFileError(f"{file} has an RDM with numbers missing")
    flat: np.ndarray = values.ravel()
    return flat
