"""Small synthetic recordings in the simulator's format, in memory and on disk."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from cortexsim.checksums import checksum
from cortexsim.stimuli.protocol import Protocol

AREAS = ("V1", "V2", "V4", "IT")
STEPS, MS = 30, 12.5

MASKING = """\
name: backward_mask
ms_per_step: 12.5
duration_ms: 375
factors: {soa_ms: [25, 50, 75, 100, 150], mask: [none, phase_scrambled]}
timeline:
  - {show: target, at_ms: 0, for_ms: $soa_ms}
  - {show: $mask, at_ms: $soa_ms, until: end}
summary: {readout_ms: 175, evidence_ms: [100, 300], by: soa_ms}
"""
FLASHED = """\
name: flashed
ms_per_step: 12.5
duration_ms: 375
factors: {shown_ms: [12.5, 25, 50, 100, 200, 375]}
timeline:
  - {show: target, at_ms: 0, for_ms: $shown_ms}
summary: {readout_ms: 250, evidence_ms: [150, 375], by: shown_ms}
"""
READOUT = """\
name: readout_time
ms_per_step: 12.5
duration_ms: 375
timeline:
  - {show: target, at_ms: 0, until: end}
"""


def designed(*lines: str) -> str:
    """Return a protocol of 375 ms with these lines, read out at 175 ms."""
    head = ("name: designed", "ms_per_step: 12.5", "duration_ms: 375",
            *(() if any("summary" in line for line in lines) else ("summary: {readout_ms: 175}",)))
    return "\n".join((*head, *lines)) + "\n"


#: What is varied in each: as in the protocols after studies, with fewer levels.
DESIGNS = {
    # two levels of occlusion, crossed with SOA and mask
    "tang": designed(
        "factors: {hidden: [0, 0.8], soa_ms: [25, 150], mask: [grey, phase_scrambled]}",
        "timeline:",
        "  - {show: target, at_ms: 0, for_ms: $soa_ms, change: {occlude: {hidden: $hidden}}}",
        "  - {show: $mask, after_ms: 0, until: end}",
        "summary: {readout_ms: 175, evidence_ms: [100, 300], by: soa_ms}"),
    # noise or blur, never both
    "kumbhar": designed(
        "factors: {noise_sd: [0, 0.04, 0.16, 0, 0], blur_sd: [0, 0, 0, 1, 3]}",
        "parallel: [[noise_sd, blur_sd]]",
        "timeline:",
        "  - {show: target, at_ms: 0, until: end,",
        "     change: {blur: $blur_sd, gaussian_noise: $noise_sd}}"),
    # a lesion at two times
    "hupe": designed(
        "factors: {contrast: [0.25, 1], lesion: [none, feedback, feedback], from_ms: [0, 0, 75]}",
        "parallel: [[lesion, from_ms]]",
        "timeline: [{show: target, at_ms: 0, until: end, change: {contrast: $contrast}}]",
        "interventions: [{lesion: $lesion, from_ms: $from_ms, until_ms: 200}]"),
    # streams whose rate determines everything else
    "keysers": designed(
        "factors: {each_ms: [12.5, 50, 100], images: [24, 6, 3], position: [8, 2, 1]}",
        "parallel: [[images, position, each_ms]]",
        "timeline: [{show: stream, at_ms: 0, images: $images, target: $position, "
        "each_ms: $each_ms}]",
        "summary: {readout_ms: 175, by: each_ms}"),
    # catch trials
    "lamme": designed(
        "factors: {figure: [target, grey], soa_ms: [25, 100], mask: [none, pattern]}",
        "timeline:",
        "  - {show: $figure, at_ms: 0, for_ms: $soa_ms}",
        "  - {show: $mask, at_ms: $soa_ms, until: end}"),
    # a blank, and every condition twice
    "contrast": designed(
        "factors: {contrast: [0.05, 0.4, 1]}", "blank: true", "repeats: 2",
        "timeline: [{show: target, at_ms: 0, for_ms: 250, change: {contrast: $contrast}}]",
        "summary: {readout_ms: 175, by: contrast}"),
    # a panel for each of four levels
    "four": designed(
        "factors: {soa_ms: [25, 100], hidden: [0, 0.3, 0.6, 0.8], mask: [none, pattern]}",
        "timeline:",
        "  - {show: target, at_ms: 0, for_ms: $soa_ms, change: {occlude: {hidden: $hidden}}}",
        "  - {show: $mask, after_ms: 0, until: end}",
        "summary: {readout_ms: 175, evidence_ms: [100, 300], by: soa_ms}"),
    # much that is done to the network, and a picture shown again and again
    "done": designed(
        "factors: {gain: [0.5, 1, 2]}", "repeats: 3",
        "timeline:",
        "  - {show: target, at_ms: 50, for_ms: 25, times: 3, isi_ms: 25}",
        "  - {show: pattern, after_ms: 0, for_ms: 50}",
        "interventions:",
        "  - {scale: V4, by: $gain}",
        "  - {noise: V1, sd: 0.2, from_ms: 300}",
        "  - {clamp: V2, to: hold, from_ms: 100, until_ms: 150}"),
    # four axes, the third with more levels than there is room for
    "many": designed(
        "factors: {soa_ms: [25, 100], mask: [none, phase_scrambled],",
        "          noise: [0, 0.1, 0.2, 0.3, 0.4], contrast: [0.5, 1]}",
        "timeline:",
        "  - {show: target, at_ms: 0, for_ms: $soa_ms,",
        "     change: {contrast: $contrast, gaussian_noise: $noise}}",
        "  - {show: $mask, after_ms: 0, until: end}",
        "summary: {readout_ms: 175, by: soa_ms}"),
}


def _activity(drive: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leaky areas in a row ``(area, time)``, NaN before anything has arrived."""
    scale = rng.uniform(0.8, 1.2)
    rows = np.full((len(AREAS), STEPS + 1), np.nan)
    state: dict[int, float] = {0: scale * drive[0]}
    for t in range(STEPS + 1):
        if t:
            source = {k: v for k, v in state.items()}
            for k in range(len(AREAS)):
                into = scale * drive[t] if k == 0 else source.get(k - 1)
                if into is not None or k in source:
                    state[k] = 0.7 * source.get(k, 0.0) + 0.5 * (into or 0.0)
        for k, value in state.items():
            rows[k, t] = value + 0.02 + 0.01 * rng.random()
    return rows


def _scores(target: np.ndarray, mask: np.ndarray, label: int, rng: np.random.Generator):
    """Evidence from what of the target is in the last area, against what is of the mask."""
    signal, against = np.nan_to_num(target[-1]), np.nan_to_num(mask[-1])
    scores = rng.normal(0, 0.25, (STEPS + 1, 10)) + rng.normal(0, 0.3, (1, 10))
    scores += against[:, None] * rng.normal(0, 0.8, (1, 10))
    scores[:, label] += 0.8 * signal
    scores[np.isnan(target[-1])] = np.nan
    return scores.astype(np.float32)


def build(protocol: str = MASKING, stimuli: int = 40, seed: int = 0, areas=AREAS) -> xr.DataTree:
    """Make a recording whose areas leak and whose masks disturb the scores.

    A picture drives the areas by what its contrast, noise and occlusion leave of it, and a lesion
    halves that. Without a protocol the target stays on.
    """
    parsed = Protocol.from_text(protocol or READOUT)
    conditions = parsed.conditions
    asks = not all(one.asked[0] == "target" for one in conditions)
    rng = np.random.default_rng(seed)
    trials = [(i, i % 10, one) for i in range(stimuli) for one in conditions]
    rms = np.empty((len(AREAS), len(trials), STEPS + 1), np.float32)
    scores, shown = [], []
    for n, (_, label, one) in enumerate(trials):
        on, against = np.zeros(STEPS + 1), np.zeros(STEPS + 1)
        for item in one.presentations:
            into = on if item.show == "target" else against
            into[item.start : item.stop] = _strength(item.picture, bool(one.interventions))
        target, other = _activity(on, rng), _activity(0.7 * against, rng)
        rms[:, n] = target + other
        scores.append(_scores(target, other, label, rng))
        shown.append(parsed.timeline(one))
    text = np.dtypes.StringDType()
    coords = {
        "trial": np.arange(len(trials)),
        "time": np.arange(STEPS + 1) * MS,
        "step": ("time", np.arange(STEPS + 1)),
        "stimulus_id": ("trial", np.array([f"image-{i}" for i, _, _ in trials], text)),
        "label": ("trial", np.array([label if set(one.asked) != {"nothing"} else -1
                                     for _, label, one in trials])),
        "condition": ("trial", np.array([one.name for *_, one in trials], text)),
    }
    for factor, levels in parsed.factors.items():
        wordy = isinstance(levels[0], str)
        values = [one.factors.get(factor, "none" if wordy else np.nan) for *_, one in trials]
        coords[factor] = ("trial", np.array(values, text if wordy else float))
    classes = np.array([f"class {i}" for i in range(10)], text)
    root = xr.Dataset(
        {
            "scores": (("trial", "time", "class"), np.array(scores)),
            "shown": (("trial", "time"), np.array(shown, text)),
        },
        {**coords, "class": classes},
        {
            "protocol": protocol,
            "graph": json.dumps({"areas": {name: [2, 4, 4] for name in AREAS}}),
            "ms_per_step": MS, "model": "digits-leaky", "dataset": "digits", "seed": seed,
            "format": 1, "complete": True,
        },
    )  # fmt: skip
    if asks:
        asked = np.array([one.asked for *_, one in trials], text)
        root = root.assign(asked=(("trial", "time"), asked))
    groups = {"/": root}
    for name in areas:
        values = rms[AREAS.index(name)]
        groups[f"/{name}"] = xr.Dataset(
            {
                "activation": (("trial", "time", "channel"), np.stack([values, -values], -1)),
                "populated": (("trial", "time"), np.isfinite(values)),
                "rms": (("trial", "time"), values),
            },
            {**coords, "channel": np.arange(2)},
        )
    return xr.DataTree.from_dict(groups)


def _strength(picture, lesion: bool) -> float:
    left = 0.5 if lesion else 1.0
    for change in picture.changes:
        values = dict(change.values)
        left *= values["level"] if change.kind == "contrast" else 1 / (
            1 + max(values.get(name, 0) for name in ("sd", "hidden")))
    return left * (picture.show != "grey")


def store(tree: xr.DataTree, path: Path, chunk_trials: int | None = None) -> Path:
    """Write a recording as the simulator does: Zarr v3 in chunks, each with its checksum."""
    trials = tree.sizes["trial"]
    per_chunk = chunk_trials or trials
    arrays = {
        f"{node.path}/{name}".strip("/"): array
        for node in tree.subtree
        for name, array in node.data_vars.items()
    }
    codes = [
        checksum({name: array.values[a : a + per_chunk] for name, array in arrays.items()})
        for a in range(0, trials, per_chunk)
    ]
    attrs = {"arrays": sorted(arrays), "chunk_trials": per_chunk}
    whole = tree.copy()
    whole.dataset = whole.to_dataset().assign(done=("chunk", codes, attrs))
    sizes = {name: (per_chunk, *array.shape[1:]) for name, array in arrays.items()}
    encoding: dict[str, dict[str, dict[str, object]]] = {"/": {"done": {"chunks": (1,)}}}
    for name, chunks in sizes.items():
        group, _, array = name.rpartition("/")
        encoding.setdefault(f"/{group}", {})[array] = {"chunks": chunks}
    with warnings.catch_warnings(), zarr.config.set({"array.write_empty_chunks": True}):
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="The data type")
        whole.to_zarr(path, consolidated=True, zarr_format=3, encoding=encoding)
    return path


@pytest.fixture(scope="session")
def masking() -> xr.DataTree:
    """Backward masking, 40 stimuli in 10 conditions."""
    return build()


@pytest.fixture(scope="session")
def flashed() -> xr.DataTree:
    """One numeric factor, no mask."""
    return build(FLASHED, stimuli=30)


@pytest.fixture(scope="session")
def sustained() -> xr.DataTree:
    """No factors at all: the image stays on."""
    return build(READOUT, stimuli=30)


@pytest.fixture(scope="session")
def make() -> Callable[..., xr.DataTree]:
    """Build a recording of one's own."""
    return build


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Write a recording to disk."""
    return store


@pytest.fixture(scope="session")
def stored(masking: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masking recording on disk."""
    return store(masking, tmp_path_factory.mktemp("runs") / "masking.zarr")


@pytest.fixture(scope="session")
def designs() -> dict[str, xr.DataTree]:
    """Recordings of all :data:`DESIGNS`."""
    return {name: build(text, stimuli=10) for name, text in DESIGNS.items()}
