"""Pictures of a folder: what is read, how it is made to fit, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cortexsim.errors import DatasetError
from cortexsim.stimuli import folder

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
#: Formats that keep every pixel.
EXACT = {".png": {}, ".bmp": {}, ".tif": {}, ".tiff": {}, ".webp": {"lossless": True}}
LOSSY = {".jpg": {"quality": 95}, ".jpeg": {"quality": 95}, ".gif": {}}


def save(path: Path, pixels: np.ndarray = RGB, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_classes_are_folders(tmp_path: Path) -> None:
    for name in ("zebra/2.png", "zebra/10.png", "ape/x.PNG", "ape/old/y.png", ".cache/z.png",
                 "ape/.hidden.png"):
        save(tmp_path / name)
    (tmp_path / "ape" / "notes.txt").write_text("of apes")
    (tmp_path / "readme.md").write_text("# of all")
    (tmp_path / "empty").mkdir()
    data = folder.load(tmp_path, (3, 6, 8))
    assert data.ids == ["ape/old/y.png", "ape/x.PNG", "zebra/10.png", "zebra/2.png"]
    assert data.classes == ("ape", "zebra")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.labels.dtype == np.int64
    assert (data.name, data.split) == (tmp_path.name, "test")
    np.testing.assert_array_equal(data.images, np.repeat(RGB.transpose(2, 0, 1)[None], 4, axis=0))


def test_without_classes(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "C.png"):
        save(tmp_path / name)
    data = folder.load(str(tmp_path), (3, 6, 8))
    assert data.ids == ["C.png", "a.png", "b.png"]
    assert data.classes == ()
    assert data.labels.tolist() == [-1, -1, -1]
    assert data.told_by(("cat",)).labels.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("suffix", [*EXACT, *LOSSY])
def test_formats(tmp_path: Path, suffix: str) -> None:
    assert suffix in folder.FORMATS
    smooth = np.linspace(0, 255, 48).reshape(6, 8, 1).repeat(3, axis=2).astype(np.uint8)
    save(tmp_path / f"x{suffix}", smooth, **(EXACT | LOSSY)[suffix])
    found = folder.load(tmp_path, (3, 6, 8)).images[0].astype(int)
    assert np.abs(found - smooth.transpose(2, 0, 1)).max() <= (0 if suffix in EXACT else 12)


def test_grey_is_luminance(tmp_path: Path) -> None:
    save(tmp_path / "x.png")
    grey = folder.load(tmp_path, (1, 6, 8)).images[0, 0]
    np.testing.assert_allclose(grey, RGB @ [0.299, 0.587, 0.114], atol=1)
    save(tmp_path / "x.png", RGB[:, :, 0])
    coloured = folder.load(tmp_path, (3, 6, 8)).images[0]
    np.testing.assert_array_equal(coloured, np.repeat(RGB[None, :, :, 0], 3, axis=0))


def test_what_is_transparent_lies_on_grey(tmp_path: Path) -> None:
    pixels = np.dstack([RGB, np.zeros((6, 8), np.uint8)])
    pixels[:, 4:, 3] = 255
    pixels[2, 0] = (228, 28, 128, 128)
    save(tmp_path / "x.png", pixels)
    found = folder.load(tmp_path, (3, 6, 8)).images[0].transpose(1, 2, 0)
    np.testing.assert_array_equal(found[:, 4:], RGB[:, 4:])
    assert (found[3:, :4] == 128).all()
    np.testing.assert_allclose(found[2, 0], (178, 78, 128), atol=1)
    palette = Image.fromarray(RGB[:, :, 0] // 200).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "x.gif", transparency=0)
    found = folder.load(tmp_path, (3, 6, 8)).images[0]
    clear = RGB[:, :, 0] < 200
    assert (found[:, clear] == 128).all()
    assert (found[:, ~clear] == np.array([[40], [50], [60]])).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 257, 128 * 257], [65535, 130, 32000]], dtype=np.uint16)
    save(tmp_path / f"x.{suffix}", deep)
    for channels in (1, 3):
        found = folder.load(tmp_path, (channels, 2, 3)).images[0, 0]
        np.testing.assert_array_equal(found, np.rint(deep / 257))


def test_numbers_with_a_point(tmp_path: Path) -> None:
    save(tmp_path / "x.tif", np.array([[0, 0.5, 1]], dtype=np.float32))
    assert folder.load(tmp_path, (1, 1, 3)).images.tolist() == [[[[0, 128, 255]]]]
    save(tmp_path / "x.tif", np.array([[0, 0.5, 300]], dtype=np.float32))
    with pytest.raises(DatasetError, match=r"x\.tif .*not from 0 to 1"):
        folder.load(tmp_path, (1, 1, 3))


@pytest.mark.parametrize("mode", ["1", "CMYK", "P", "LA"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    Image.new("L", (4, 4), 255).convert(mode).save(tmp_path / "x.tif")
    assert (folder.load(tmp_path, (3, 4, 4)).images == 255).all()


def test_the_way_it_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    save(tmp_path / "x.png", RGB, exif=exif)
    found = folder.load(tmp_path, (3, 8, 6)).images[0]
    np.testing.assert_array_equal(found, np.rot90(RGB, -1).transpose(2, 0, 1))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(1, 20),
       st.integers(0, 255))
def test_any_size_fits(tmp_path: Path, height: int, width: int, to_height: int, to_width: int,
                       level: int) -> None:
    save(tmp_path / "x.png", np.full((height, width), level, np.uint8))
    images = folder.load(tmp_path, (1, to_height, to_width)).images
    assert images.shape == (1, 1, to_height, to_width)
    assert (images == level).all()


def test_the_shorter_side_fits_and_the_centre_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:30], wide[:, 30:40] = 100, 200  # the middle square is grey and bright
    save(tmp_path / "x.png", wide)
    found = folder.load(tmp_path, (1, 10, 10)).images[0, 0]
    assert (found[:, 1:4] == 100).all() and (found[:, 6:9] == 200).all()
    save(tmp_path / "x.png", wide.T)
    np.testing.assert_array_equal(folder.load(tmp_path, (1, 10, 10)).images[0, 0], found.T)
    # fine stripes become grey, and not coarse stripes
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    save(tmp_path / "x.png", stripes)
    np.testing.assert_allclose(folder.load(tmp_path, (1, 10, 10)).images, 100, atol=8)


def test_a_size_of_their_own(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    assert folder.load(tmp_path, (3,)).images.shape == (2, 3, 6, 8)
    save(tmp_path / "c.png", RGB[:, :5])
    with pytest.raises(DatasetError, match=r"c\.png is 5x6 pixels .* and a\.png 8x6"):
        folder.load(tmp_path, (3,))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="missing: there is no such folder"):
        folder.load(tmp_path / "missing", (3, 8, 8))
    with pytest.raises(DatasetError, match=r"x\.png: is not a folder"):
        folder.load(save(tmp_path / "x.png"), (3, 8, 8))


def test_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("x.png,1")
    save(tmp_path / ".x.png")
    with pytest.raises(DatasetError, match=r"no pictures in it.*\.png, \.jpg"):
        folder.load(tmp_path, (3, 8, 8))


def test_pictures_beside_classes(tmp_path: Path) -> None:
    save(tmp_path / "lone.png")
    save(tmp_path / "ape" / "x.png")
    with pytest.raises(DatasetError, match=r"lone\.png lies beside the folder of ape/x\.png"):
        folder.load(tmp_path, (3, 8, 8))


def test_no_picture_goes_missing_without_a_word(tmp_path: Path) -> None:
    save(tmp_path / "x.png")
    (tmp_path / "y.HEIC").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"y\.HEIC is of a format that is not read: convert"):
        folder.load(tmp_path, (3, 8, 8))


@pytest.mark.parametrize("suffix", folder.FORMATS)
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6, 0.9])
def test_a_broken_picture_is_named(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    save(tmp_path / "a.png", noise)
    broken = save(tmp_path / f"b{suffix}", noise)
    content = broken.read_bytes()
    broken.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DatasetError) as problem:
        folder.load(tmp_path, (3, 40, 40))
    assert str(problem.value).startswith(f"{broken} is broken, or not a picture")
    assert "\n" not in str(problem.value)


def test_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(DatasetError, match=r"x\.png is broken, or not a picture"):
        folder.load(tmp_path, (3, 8, 8))


@pytest.mark.parametrize("most", [30, 15])
def test_decompression_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    save(tmp_path / "x.png")
    monkeypatch.setattr(folder, "MOST_PIXELS", most)
    with pytest.raises(DatasetError, match=rf"x\.png has more than {most} pixels: make it smaller"):
        folder.load(tmp_path, (3, 8, 8))


def test_a_picture_of_a_large_camera(tmp_path: Path) -> None:
    Image.new("L", (9504, 6336), 200).save(tmp_path / "x.png", compress_level=1)
    assert (folder.load(tmp_path, (1, 8, 8)).images == 200).all()


def test_too_much_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "x.png")
    save(tmp_path / "y.png")
    monkeypatch.setattr(folder, "MOST", 2 * RGB.size)
    assert len(folder.load(tmp_path, (3, 6, 8))) == 2
    with pytest.raises(DatasetError, match="2 pictures of 9x6 pixels in 3 channels would take"):
        folder.load(tmp_path, (3, 6, 9))


@pytest.mark.parametrize("shape", [(2, 8, 8), (4,), ()])
def test_channels_that_pictures_do_not_have(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save(tmp_path / "x.png")
    with pytest.raises(DatasetError, match="grey or RGB, for networks that take 1 or 3"):
        folder.load(tmp_path, shape)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9.png"
    try:
        odd.write_bytes(save(tmp_path / "x.png").read_bytes())
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes valid names only")
    with pytest.raises(DatasetError, match="not valid UTF-8: rename it") as problem:
        folder.load(tmp_path, (3, 8, 8))
    str(problem.value).encode()
