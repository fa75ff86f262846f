"""Data sets: splits that do not overlap, clutter that depends on seed and scan alone."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cortexsim.errors import DatasetError
from cortexsim.stimuli import cifar10, datasets, digits


def test_to_input_is_the_formula() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    expected = (np.arange(256) / 255 - 0.5) / 0.25
    assert datasets.to_input(pixels).dtype == np.float32
    np.testing.assert_allclose(datasets.to_input(pixels), expected, atol=1e-6)
    assert datasets.to_input(np.array([127.5])) == 0
    np.testing.assert_array_equal(
        datasets.to_input(pixels), datasets.to_input(pixels.astype(np.float64))
    )


def test_splits_of_the_digits() -> None:
    train, held, test = (datasets.load("digits-clean", split)
                         for split in ("train", "validation", "test"))
    assert [len(part) for part in (train, held, test)] == [1300, 137, 360]
    assert test.ids[0] == "digits-1437"
    assert held.ids[0] == "digits-1300"
    assert len({*train.ids, *held.ids, *test.ids}) == 1797
    assert test.images.shape == (360, 1, 32, 32)
    assert test.images.dtype == np.uint8
    assert test.labels.dtype == np.int64
    assert test.classes == tuple("0123456789")
    whole = datasets.load("digits-clean", "train", holdout=0)
    np.testing.assert_array_equal(whole.images, np.concatenate([train.images, held.images]))
    np.testing.assert_array_equal(whole.labels, np.concatenate([train.labels, held.labels]))


def test_enlarging_keeps_the_picture() -> None:
    from sklearn.datasets import load_digits

    small = load_digits().images[:50] / 16
    large = digits.enlarge(small)
    assert 0 <= large.min() <= large.max() <= 1
    blocks = large.reshape(50, 8, 4, 8, 4).mean(axis=(2, 4))
    assert np.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.99
    # no half-pixel shift: a mirrored scan gives the mirrored picture
    np.testing.assert_allclose(
        digits.enlarge(small[:, ::-1, ::-1]), large[:, ::-1, ::-1], atol=1e-6
    )


def test_clutter_depends_on_seed_and_scan() -> None:
    first, again = datasets.load("digits", "test"), datasets.load("digits", "test")
    other = datasets.load("digits", "test", seed=1)
    clean = datasets.load("digits-clean", "test")
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any(axis=(1, 2, 3)).all()
    assert (first.images >= clean.images).all()
    assert first.ids == clean.ids
    # what hold-out leaves of the training set changes nothing about the test images
    np.testing.assert_array_equal(
        first.images, datasets.load("digits", "test", holdout=500).images
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(0, 6), st.integers(1, 12), st.integers(0, 2**32))
def test_fragments_come_from_other_scans(
    count: int, debris: int, fragment: int, seed: int
) -> None:
    # each scan has a brightness of its own, so each pixel tells where it came from
    pool = np.broadcast_to(
        (np.arange(count, dtype=np.float32) + 1)[:, None, None], (count, 12, 12)
    )
    targets = np.zeros_like(pool)
    own = np.arange(count)
    shown = digits.clutter(targets, pool, np.random.default_rng(seed), debris=debris,
                           fragment=fragment, own=own)
    assert not targets.any()
    for row in range(count):
        assert row + 1 not in shown[row]
        assert set(np.unique(shown[row])) <= {0, *range(1, count + 1)}
        assert (shown[row] > 0).sum() <= debris * fragment**2
    same = digits.clutter(targets, pool, np.random.default_rng(seed), debris=debris,
                          fragment=fragment, own=own)
    np.testing.assert_array_equal(shown, same)


def test_debris_falls_everywhere_and_takes_no_time() -> None:
    scans = digits.scans("train", 0).pixels
    start = time.perf_counter()
    digits.clutter(scans, scans, np.random.default_rng(0))
    assert time.perf_counter() - start < 1
    white = np.ones((400, 32, 32), dtype=np.float32)
    covered = digits.clutter(np.zeros_like(white), white, np.random.default_rng(0),
                             debris=8).mean(axis=0)
    assert covered.min() > 0.1
    expected = 1 - (1 - (digits.FRAGMENT / 33) ** 2) ** 8
    assert covered[16, 16] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("options", [{"debris": -1}, {"fragment": 33}, {"fragment": 0}])
def test_impossible_clutter(options: dict[str, int]) -> None:
    scans = np.zeros((3, 32, 32), dtype=np.float32)
    with pytest.raises(DatasetError, match="cannot cut"):
        digits.clutter(scans, scans, np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("digit", {}, "unknown data set 'digit'; did you mean 'digits'"),
     ("digits", {"split": "tests"}, "unknown split 'tests'; did you mean 'test'"),
     ("digits", {"split": "validation", "holdout": 0}, "no validation images"),
     ("digits", {"split": "train", "holdout": 1437}, "0 to 1436 can be held out, not 1437"),
     ("cifar10", {"split": "train", "holdout": -1}, "can be held out"),
     ("digits", {"seed": -1}, "negative"),
     ("pictures", {}, r"unknown data set 'pictures'; known: .*such as \./pictures"),
     ("./pictures", {}, r"\./pictures: say what .* as in shape=\(3, 32, 32\)"),
     ("./pictures", {"shape": (3, 8, 8)}, "there is no such folder"),
     ("./pictures", {"shape": (3, 8, 8), "split": "train"}, "not split: 'train' cannot")],
)
def test_what_cannot_be_loaded(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        datasets.load(name, **options)


@pytest.mark.parametrize(("name", "folder"), [
    ("digits", False), ("cifar10", False), (".hidden", False), ("./digits", True), (".", True),
    ("..", True), ("a/b", True), ("a\\b", True), (Path("digits"), True)])
def test_what_is_a_folder(name: str | Path, folder: bool) -> None:
    assert datasets.is_folder(name) is folder


def test_a_folder_is_loaded_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    (tmp_path / "faces").mkdir()
    Image.new("L", (4, 4), 7).save(tmp_path / "faces" / "ann.png")
    monkeypatch.chdir(tmp_path)
    for path in ("./faces", "faces/", Path("faces"), tmp_path / "faces"):
        data = datasets.load(path, shape=(1, 4, 4))
        assert (data.name, data.split, data.ids) == ("faces", "test", ["ann.png"])
        assert (data.images == 7).all()
    assert datasets.load(".", shape=(1, 4, 4)).classes == ("faces",)
    assert datasets.names() == ["digits", "digits-clean", "cifar10"]


@given(hnp.arrays(np.int64, st.integers(0, 8), elements=st.integers(0, 4)))
def test_take(rows: np.ndarray) -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None]
    whole = datasets.Dataset(images, np.arange(5), list("abcde"), tuple("01234"), "x", "test")
    part = whole.take(rows)
    np.testing.assert_array_equal(part.labels, rows)
    np.testing.assert_array_equal(part.images[:, 0, 0, 0], rows)
    assert part.ids == ["abcde"[row] for row in rows]
    assert len(part) == len(rows)
    assert whole.take(slice(1, 3)).ids == ["b", "c"]


def test_parts_that_do_not_fit() -> None:
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64)
    for broken in [(images[0], labels, ["a"]), (images, labels[:1], ["a", "b"]),
                   (images, labels, ["a"]), (images, labels + 1, ["a", "b"]),
                   (images / 1, labels, ["a", "b"])]:
        with pytest.raises(DatasetError):
            datasets.Dataset(*broken, classes=("0",), name="x", split="test")


# --- CIFAR-10, with small made-up files in the official format ---


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of made-up files, whose md5 torchvision is told to expect."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / cifar10.FOLDER
    folder.mkdir()
    rng = np.random.default_rng(0)
    md5 = {}
    names = [name for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]]
    for name in names:
        pixels = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        content = pickle.dumps({"data": pixels, "labels": [1, 0, 1, 1]})
        (folder / name).write_bytes(content)
        md5[name] = hashlib.md5(content).hexdigest()
    content = pickle.dumps({"label_names": ["cat", "ship"]})
    (folder / "batches.meta").write_bytes(content)
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], md5[names[5]]]])
    monkeypatch.setattr(
        CIFAR10, "meta", CIFAR10.meta | {"md5": hashlib.md5(content).hexdigest()}
    )
    monkeypatch.setattr(cifar10, "TRAINING", 20)
    monkeypatch.setattr(cifar10, "TEST", 4)
    return tmp_path


def test_cifar_splits(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, held, test = (datasets.load("cifar10", split, root=made_up, holdout=6)
                         for split in ("train", "validation", "test"))
    assert [len(part) for part in (train, held, test)] == [14, 6, 4]
    assert held.ids[0] == "cifar10-train-00014"
    assert test.ids[3] == "cifar10-test-00003"
    assert test.classes == ("cat", "ship")
    with (made_up / cifar10.FOLDER / "test_batch").open("rb") as file:
        raw = pickle.load(file)["data"].reshape(4, 3, 32, 32)
    np.testing.assert_array_equal(test.images, raw)
    # the folder itself, and the folder that the environment names, are understood too
    monkeypatch.setenv("CORTEXSIM_DATA", str(made_up))
    for root in (made_up / cifar10.FOLDER, None):
        assert datasets.load("cifar10", "test", root=root).ids == test.ids


def test_a_damaged_file_is_named_and_never_read(made_up: Path) -> None:
    path = made_up / cifar10.FOLDER / "data_batch_3"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(made_up / "ran").encode() + b"'\ntR.")
    with pytest.raises(DatasetError) as problem:
        datasets.load("cifar10", "test", root=made_up)
    assert str(problem.value).startswith(f"{path} is damaged (its md5 differs")
    assert not (made_up / "ran").exists()


def test_a_missing_file_is_named(made_up: Path) -> None:
    path = made_up / cifar10.FOLDER / "batches.meta"
    path.unlink()
    with pytest.raises(DatasetError, match="batches.meta is missing: put the official file"):
        datasets.load("cifar10", "test", root=made_up)


def refuse(*_: object, **__: object) -> None:
    raise urllib.error.URLError("name or service not known")


def test_without_network_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(DatasetError) as problem:
        datasets.load("cifar10", "test", root=root)
    message = str(problem.value)
    assert f"put the official folder cifar-10-batches-py under {root}" in message
    assert "--data-root" in message
    assert "\n" not in message
    assert not root.exists()


def hang(*_: object, **__: object) -> None:
    time.sleep(3)
    refuse()


def test_a_name_server_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(urllib.request, "urlopen", hang)
    start = time.perf_counter()
    with pytest.raises(DatasetError, match="no answer"):
        cifar10.download(tmp_path)
    assert time.perf_counter() - start < 2


def test_an_archive_that_lies_there_is_unpacked_offline(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tarfile

    from torchvision.datasets import CIFAR10

    archive = made_up / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made_up / cifar10.FOLDER, cifar10.FOLDER)
    (made_up / cifar10.FOLDER).rename(made_up / "expected")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert len(datasets.load("cifar10", "test", root=made_up)) == 4
    assert {path.name for path in made_up.iterdir()} == {
        CIFAR10.filename, cifar10.FOLDER, "expected"
    }


def test_a_download_that_breaks_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets.utils as utils

    def breaks_off(*_: object, **__: object) -> None:
        raise ConnectionResetError("connection reset")

    monkeypatch.setattr(cifar10, "_probe", lambda url: None)
    monkeypatch.setattr(utils, "download_and_extract_archive", breaks_off)
    with pytest.raises(DatasetError, match="could not be downloaded.*connection reset"):
        cifar10.download(tmp_path)
    assert list(tmp_path.iterdir()) == []


SHARED = Path(__file__).parents[3] / "shared" / "datasets" / "cifar10.py"


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs CIFAR-10 in ../shared/datasets")
def test_the_official_cifar(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SHARED, "unpack", tmp_path], check=True)
    test = datasets.load("cifar10", "test", root=tmp_path)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert (np.bincount(test.labels) == 1000).all()
    assert test.classes[test.labels[0]] == "cat"
    train = datasets.load("cifar10", "train", root=tmp_path)
    assert len(train) == 47_500


def test_labels_among_the_classes_of_a_network() -> None:
    images = np.zeros((3, 1, 2, 2), np.uint8)
    data = datasets.Dataset(images, np.arange(3), list("xyz"), tuple("abc"), "made-up", "test")
    told = data.told_by(("c", "a"))
    assert told.labels.tolist() == [1, -1, 0] and told.classes == ("c", "a")
    assert told.told_by(("a", "b")).labels.tolist() == [0, -1, -1]
    # images of no class stay so, whatever the network knows
    none = datasets.Dataset(images, np.full(3, -1), list("xyz"), (), "made-up", "test")
    assert none.told_by(("c", "a")).labels.tolist() == [-1, -1, -1]
