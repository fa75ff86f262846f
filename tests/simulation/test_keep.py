"""What is kept of states: numbers as they are defined, in any batch, without loss."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cortexsim import analysis, schema
from cortexsim.checksums import bad_chunks
from cortexsim.errors import SimulationError
from cortexsim.models.inference import Runner
from cortexsim.simulation import Record, simulate
from cortexsim.stimuli.protocol import Protocol

EVERYTHING = Record(reduce="none", summaries=schema.SUMMARIES)


@pytest.fixture(scope="module")
def whole(network, protocol, pictures, tmp_path_factory):
    """Return a recording of whole maps and all summaries."""
    return simulate(network, protocol, pictures(3), record=EVERYTHING,
                    out=tmp_path_factory.mktemp("runs") / "whole.zarr", seed=2).load()


@pytest.mark.parametrize("area", ["V1", "V2", "IT"])
def test_summaries_are_what_they_are_called(whole, area):
    group = whole[area]
    maps = group["activation"].values.astype(np.float64)
    flat = maps.reshape(*maps.shape[:2], -1)
    there = group["populated"].values
    near = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(group["mean"], flat.mean(-1), **near)
    np.testing.assert_allclose(group["norm"], np.linalg.norm(flat, axis=-1), **near)
    np.testing.assert_allclose(group["norm"], group["rms"] * np.sqrt(flat.shape[-1]), **near)
    before = np.roll(flat, 1, axis=1)
    before[:, 0] = np.nan
    np.testing.assert_allclose(group["distance"], np.linalg.norm(flat - before, axis=-1), **near)
    assert np.isnan(group["distance"].values[~there]).all() and there.any()
    active = np.maximum(flat, 0)
    treves = active.mean(-1) ** 2 / (active**2).mean(-1)
    np.testing.assert_allclose(group["sparseness"], (1 - treves) / (1 - 1 / flat.shape[-1]),
                               rtol=1e-4, atol=1e-5)


@given(st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4))
def test_sparseness_is_between_one_unit_and_all(units):
    from cortexsim.simulation.keep import Keep

    flat = torch.tensor([units, [1, 1, 1, 1], [3, 0, 0, 0], [-1, 0, -2, 0]])
    found = Keep._number("sparseness", flat, flat, None)
    assert found[1] == 0 and found[2] == 1 and found[3].isnan()
    assert (0 <= found[0] <= 1) or max(units) < 1e-6


def test_the_distance_is_to_the_step_before_whatever_is_kept(
    whole, network, protocol, pictures, tmp_path,
):
    thin = simulate(network, protocol, pictures(3), out=tmp_path / "x.zarr", seed=2,
                    record=Record(every=3, from_step=2, reduce="summary"))
    assert thin["step"].values.tolist() == [2, 5]
    for area in ("V1", "V2", "IT"):
        assert "activation" not in thin[area]
        for name in ("rms", *schema.SUMMARIES):
            np.testing.assert_array_equal(thin[area][name], whole[area][name][:, 2::3])


def test_float16_is_the_same_rounded(whole, network, protocol, pictures, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = tmp_path / "x.zarr"
        half = simulate(network, protocol, pictures(3), out=path, seed=2,
                        record=Record(reduce="none", dtype="float16"))
        half.load()
        xr.open_datatree(path, engine="zarr").load()
    for area in ("V1", "V2", "IT"):
        assert half[area]["activation"].dtype == np.float16
        np.testing.assert_array_equal(half[area]["activation"],
                                      whole[area]["activation"].astype(np.float16))
        np.testing.assert_array_equal(half[area]["rms"], whole[area]["rms"])
    np.testing.assert_array_equal(half["scores"], whole["scores"])
    analysis.verify(path)
    # maps lie on disk as they were computed, uncompressed
    file = next((path / "V1" / "activation" / "c").rglob("0/0/0/0/0"), None) or next(
        item for item in (path / "V1" / "activation" / "c").rglob("*") if item.is_file())
    lying = half["V1"]["activation"].values.transpose(0, 1, 3, 4, 2)
    np.testing.assert_array_equal(np.fromfile(file, np.float16).reshape(lying.shape), lying)
    with file.open("r+b") as damaged:
        damaged.write(b"\x12\x34")
    assert bad_chunks(path) == [0]


@pytest.mark.parametrize("reduce", ["none", "mean", "units:4"])
def test_what_float16_cannot_hold_is_said(network, protocol, pictures, tmp_path, reduce,
                                          monkeypatch):
    arrivals = Runner.arrivals

    def large(self, state, s, firing):
        new = arrivals(self, state, s, firing)
        return new | {"V2": [torch.full_like(x, 70000.0) for x in new["V2"]]} if s == 3 else new

    monkeypatch.setattr(Runner, "arrivals", large)
    half = Record(reduce=reduce, dtype="float16")
    with pytest.raises(SimulationError, match="V2 at step 3 is beyond 65504.*--dtype float32"):
        simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr", record=half)
    assert list(tmp_path.iterdir()) == []


def test_many_units_of_ordinary_size_are_no_overflow(network, protocol, pictures, tmp_path,
                                                      monkeypatch):
    arrivals = Runner.arrivals

    def loud(self, state, s, firing):
        new = arrivals(self, state, s, firing)
        return new | {"V1": [torch.full_like(x, 9000.0) for x in new["V1"][:1]]}

    monkeypatch.setattr(Runner, "arrivals", loud)
    tree = simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr",
                    record=Record(reduce="none", dtype="float16", areas=("V1",)))
    assert tree["V1"]["rms"].max() * 16 > 65504 and np.isfinite(tree["V1"]["activation"]).all()


@pytest.mark.parametrize("options, message", [
    ({"dtype": "float8"}, "unknown type of numbers 'float8'"),
    ({"summaries": ("kurtosis",)}, "unknown summary 'kurtosis'.*mean, norm, sparseness, distance"),
])
def test_a_record_that_makes_no_sense(options, message):
    with pytest.raises(SimulationError, match=message):
        Record(**options)


BLANK = """
name: blanks
ms_per_step: 10
duration_ms: 60
factors: {soa_ms: [10, 20], mask: [none, white_noise]}
repeats: 2
blank: true
timeline:
  - {show: target, at_ms: 0, for_ms: $soa_ms}
  - {show: $mask, at_ms: $soa_ms, until: end}
"""


def test_blank_trials_ask_nothing_and_lack_factors(network, pictures, tmp_path):
    tree = simulate(network, Protocol.from_text(BLANK), pictures(3), out=tmp_path / "x.zarr",
                    record=Record(reduce="summary"))
    blank = tree["condition"].values == "blank"
    assert blank.sum() == 3 and len(blank) == 27
    assert (tree["label"].values[blank] == -1).all() and (tree["label"].values[~blank] >= 0).all()
    assert np.isnan(tree["soa_ms"].values[blank]).all()
    assert (tree["mask"].values[blank] == "none").all()
    assert sorted(set(tree["repeat"].values[~blank])) == [1, 2]
    assert (tree["asked_label"].values[blank] == -1).all()
    assert (tree["asked"].values[blank] == "nothing").all()
    assert np.isfinite(tree["V1"]["rms"].values[blank]).all()  # grey is a picture
