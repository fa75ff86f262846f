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

AREAS = ("V1", "V2", "V4", "IT")
STEPS, MS = 30, 12.5
SOAS, MASKS = (25.0, 50.0, 75.0, 100.0, 150.0), ("none", "phase_scrambled")

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
    """Make a recording whose areas leak and whose mask disturbs the scores."""
    conditions: list[dict[str, object]] = [{}]
    if "soa_ms" in protocol:
        conditions = [{"soa_ms": soa, "mask": mask} for soa in SOAS for mask in MASKS]
    if "shown_ms" in protocol:
        conditions = [{"shown_ms": ms} for ms in (12.5, 25.0, 50.0, 100.0, 200.0, 375.0)]
    rng = np.random.default_rng(seed)
    trials = [(i, i % 10, condition) for i in range(stimuli) for condition in conditions]
    rms = np.empty((len(AREAS), len(trials), STEPS + 1), np.float32)
    scores, shown = [], []
    for n, (_, label, condition) in enumerate(trials):
        on = int(float(condition.get("soa_ms", condition.get("shown_ms", 1e9))) // MS)
        names = ["target" if t < on or on == STEPS else "nothing" for t in range(STEPS + 1)]
        if condition.get("mask", "none") != "none":
            names[on:] = [str(condition["mask"])] * (STEPS + 1 - on)
        masked = np.array([name == "phase_scrambled" for name in names])
        target = _activity(np.array([name == "target" for name in names], float), rng)
        against = _activity(0.7 * masked, rng)
        rms[:, n] = target + against
        scores.append(_scores(target, against, label, rng))
        shown.append(names)
    text = np.dtypes.StringDType()
    coords = {
        "trial": np.arange(len(trials)),
        "time": np.arange(STEPS + 1) * MS,
        "step": ("time", np.arange(STEPS + 1)),
        "stimulus_id": ("trial", np.array([f"image-{i}" for i, _, _ in trials], text)),
        "label": ("trial", np.array([label for _, label, _ in trials])),
        "condition": ("trial", np.array([_name(c) for *_, c in trials], text)),
    }
    for factor in conditions[0]:
        values = [condition[factor] for *_, condition in trials]
        coords[factor] = ("trial", np.array(values, float if factor != "mask" else text))
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


def _name(condition: dict[str, object]) -> str:
    parts = [f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in condition.items()]
    return ", ".join(parts) or "readout_time"


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
