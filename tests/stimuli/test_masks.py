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


images = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9),
                        st.integers(1, 9)))


@given(images, seeds)
def test_a_picture_of_the_mean_spectrum(images: np.ndarray, seed: int) -> None:
    amplitude = masks.mean_spectrum(images)
    expected = np.mean([np.abs(np.fft.fft2(image / 255)) for image in images], axis=0)
    np.testing.assert_allclose(amplitude, expected, atol=1e-9)
    unclipped = masks._turn(amplitude, np.random.default_rng(seed))
    np.testing.assert_allclose(np.abs(np.fft.fft2(unclipped)), amplitude, atol=1e-9)
    np.testing.assert_allclose(unclipped.mean(axis=(1, 2)),
                               images.mean(axis=(0, 2, 3)) / 255, atol=1e-9)
    drawn = masks.phase_random(amplitude, np.random.default_rng(seed))
    np.testing.assert_array_equal(drawn, np.clip(unclipped, 0, 1))


def test_the_mean_spectrum_of_a_sample() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 6, 5), dtype=np.uint8)
    part = masks.mean_spectrum(images, sample=10)
    np.testing.assert_array_equal(part, masks.mean_spectrum(images, sample=10))
    whole = masks.mean_spectrum(images)
    assert (part != whole).all()
    # each image counts once at most: ten of a set that repeats itself cannot be one image
    np.testing.assert_allclose(masks.mean_spectrum(images, sample=40), whole)


@pytest.mark.parametrize("name", ["pattern", "texture", "checkerboard"])
@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(24, 40), st.integers(24, 40), seeds)
def test_black_and_white(name: str, channels: int, height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((channels, height, width))
    mask = masks.REGISTRY[name](picture, np.random.default_rng(seed))
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(mask, np.broadcast_to(mask[:1], mask.shape))
    # squares that are cut off at the edges may leave a little more of one colour
    assert mask.mean() == pytest.approx(0.5, abs=0.05 if name == "checkerboard" else 0.02)
    other = masks.REGISTRY[name](1 - picture, np.random.default_rng(seed))
    np.testing.assert_array_equal(mask, other)


def test_checkerboards_come_in_every_phase() -> None:
    picture = np.zeros((1, 32, 32))
    boards = [masks.checkerboard(picture, np.random.default_rng(n))[0] for n in range(400)]
    for board in boards:
        # four pixels on, the colour is the other one
        np.testing.assert_array_equal(board[4:], 1 - board[:-4])
        np.testing.assert_array_equal(board[:, 4:], 1 - board[:, :-4])
    assert len({board.tobytes() for board in boards}) == 4 * 4 * 2
    np.testing.assert_allclose(np.mean(boards, axis=0), 0.5, atol=0.15)


def test_patterns_favour_no_place_and_textures_a_direction() -> None:
    picture = np.zeros((1, 32, 32))
    drawn = [masks.pattern(picture, np.random.default_rng(n)) for n in range(100)]
    assert np.abs(np.mean(drawn, axis=0) - 0.5).max() < 0.25
    assert len({mask.tobytes() for mask in drawn}) == 100
    directed = []
    for draw in (masks.pattern, masks.texture):
        slopes = [np.gradient(draw(picture, np.random.default_rng(n))[0]) for n in range(20)]
        # how much longer the gradients are in one direction than across it: 0 to 1
        directed.append(np.mean([
            np.hypot((x**2 - y**2).mean(), (2 * x * y).mean()) / (x**2 + y**2).mean()
            for y, x in slopes]))
    assert directed[0] < 0.15 < 0.3 < directed[1]
