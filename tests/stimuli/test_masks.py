"""Masks: shapes, ranges, and the spectra they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cortexsim.stimuli import masks

pictures = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(0, 1, width=16),
)
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize("name", masks.REGISTRY)
@settings(max_examples=25)
@given(picture=pictures, seed=seeds)
def test_every_mask(name: str, picture: np.ndarray, seed: int) -> None:
    before = picture.copy()
    mask = masks.REGISTRY[name](picture, np.random.default_rng(seed))
    assert mask.shape == picture.shape
    assert np.isrealobj(mask)
    assert np.isfinite(mask).all()
    assert 0 <= mask.min() <= mask.max() <= 1
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(
        mask, masks.REGISTRY[name](picture, np.random.default_rng(seed))
    )


@given(pictures, seeds)
def test_phase_scrambling_keeps_amplitudes_and_mean(picture: np.ndarray, seed: int) -> None:
    scrambled = masks._unclipped_phase_scrambled(picture, np.random.default_rng(seed))
    before, after = np.fft.fft2(picture), np.fft.fft2(scrambled)
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
    np.testing.assert_allclose(scrambled.mean(axis=(1, 2)), picture.mean(axis=(1, 2)), atol=1e-12)


@given(st.integers(2, 9), st.integers(2, 9), seeds)
def test_phases_are_conjugate_symmetric_and_shared(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((3, height, width))
    scrambled = masks._unclipped_phase_scrambled(picture, np.random.default_rng(seed + 1))
    turn = np.fft.fft2(scrambled) / np.fft.fft2(picture)
    # the same turn in every channel ...
    np.testing.assert_allclose(turn, np.broadcast_to(turn[:1], turn.shape), atol=1e-6)
    # ... of length 1, and the opposite one at the opposite frequency
    np.testing.assert_allclose(np.abs(turn), 1, atol=1e-6)
    opposite = np.roll(turn[:, ::-1, ::-1], (1, 1), axis=(1, 2))
    np.testing.assert_allclose(turn, opposite.conj(), atol=1e-6)


def test_phases_are_random_and_even() -> None:
    picture = np.random.default_rng(0).random((1, 32, 32))
    scrambled = masks._unclipped_phase_scrambled(picture, np.random.default_rng(1))
    phases = np.angle(np.fft.fft2(scrambled) / np.fft.fft2(picture))[0, 1:, 1:16]
    counts, _ = np.histogram(phases, bins=4, range=(-np.pi, np.pi))
    assert counts.min() > 0.7 * counts.mean()
    assert abs(np.corrcoef(scrambled.ravel(), picture.ravel())[0, 1]) < 0.2


def test_pink_noise_falls_as_one_over_f() -> None:
    # a low contrast, so that nothing is clipped
    picture = 0.5 + 0.02 * np.random.default_rng(0).standard_normal((1, 64, 64))
    power = np.mean([
        np.abs(np.fft.fft2(masks.pink_noise(picture, np.random.default_rng(n))[0])) ** 2
        for n in range(40)
    ], axis=0)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None, :])
    band = (frequency > 0.02) & (frequency < 0.5)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.1)
    mask = masks.pink_noise(picture, np.random.default_rng(0))
    assert mask.mean() == pytest.approx(picture.mean())
    assert mask.std() == pytest.approx(picture.std())


@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), seeds)
def test_blocks_are_rearranged(channels: int, height: int, width: int, seed: int) -> None:
    plane = np.arange(height * width).reshape(1, height, width) / (height * width)
    picture = np.repeat(plane, channels, axis=0)
    mask = masks.block_scrambled(picture, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(mask, axis=None), np.sort(picture, axis=None))
    np.testing.assert_array_equal(mask, np.broadcast_to(mask[:1], mask.shape))


def test_blocks_of_32_pixels_have_4() -> None:
    picture = np.arange(1024.0).reshape(1, 32, 32) / 1024
    mask = masks.block_scrambled(picture, np.random.default_rng(0))
    blocks = {block.tobytes() for block in picture.reshape(8, 4, 8, 4).swapaxes(1, 2).reshape(
        64, 16)}
    found = {block.tobytes() for block in mask.reshape(8, 4, 8, 4).swapaxes(1, 2).reshape(64, 16)}
    assert found == blocks
