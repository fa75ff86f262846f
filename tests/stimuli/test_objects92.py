"""The 92 objects: read from the published file's form, brought to a network's shape, or refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from cortexsim.errors import DatasetError
from cortexsim.ready import prepare
from cortexsim.stimuli import datasets, objects92

SHARED = Path(__file__).parents[3] / "shared" / "reference" / "kriegeskorte2008_92"
NAMES = [name for name, count in zip(objects92.CATEGORIES, (12, 12, 12, 12, 23, 21), strict=True)
         for _ in range(count)]


def publish(folder: Path, *, file=objects92.FILE, names=NAMES, size=9, **more) -> Path:
    """Write a file in the form of the published one, with pictures of noise on grey."""
    rng = np.random.default_rng(0)
    kind = [("category", object), ("face", object), ("image", object)]
    table = np.empty((1, len(names)), dtype=kind)
    for i, name in enumerate(names):
        image = np.full((size, size, 3), 128, np.uint8)
        edge = size // 4
        image[edge:-edge, edge:-edge] = rng.integers(0, 256, (size - 2 * edge,) * 2 + (3,))
        table[0, i] = (name, int("face" in name), image)
    folder.mkdir(exist_ok=True, parents=True)
    savemat(folder / file, {objects92.STIMULI: table, **more})
    return folder


def test_ids_follow_the_file_and_name_the_category(tmp_path):
    found = datasets.load(publish(tmp_path / "it"), shape=(3, 9, 9))
    assert len(found) == 92 and found.name == "objects92"
    assert found.ids[0] == "object-01-human-bodypart"
    assert found.ids[91] == "object-92-artificial-inanimate"
    assert [found.classes[label] for label in found.labels] == NAMES
    pixels, _ = objects92.read(tmp_path / "it")
    np.testing.assert_array_equal(found.images, pixels.transpose(0, 3, 1, 2))


def test_the_file_is_as_good_as_its_folder(tmp_path):
    folder = publish(tmp_path / "it")
    one, other = (datasets.load(str(path), shape=(1, 5, 5))
                  for path in (folder, folder / objects92.FILE))
    np.testing.assert_array_equal(one.images, other.images)


def test_pictures_take_the_shape_of_the_network(tmp_path):
    folder = publish(tmp_path / "it", size=40)
    assert datasets.load(folder, shape=(3,)).images.shape == (92, 3, 40, 40)
    small = datasets.load(folder, shape=(1, 8, 8)).images
    assert small.shape == (92, 1, 8, 8)
    pixels, _ = objects92.read(folder)
    expected = Image.fromarray(pixels[3]).convert("L").resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(small[3, 0], np.asarray(expected))
    # the grey around an object stays the grey it is
    assert (datasets.load(folder, shape=(3, 20, 20)).images[:, :, 0] == 128).all()
    with pytest.raises(DatasetError, match="for networks that take 1 or 3 channels, not 2"):
        datasets.load(folder, shape=(2, 8, 8))


def test_divisions_are_those_of_the_categories():
    labels = np.array([objects92.CATEGORIES.index(name) for name in NAMES])
    found = objects92.divisions(objects92.ids(labels))
    counts = {name: {group: list(given.values()).count(group) for group in set(given.values())}
              for name, given in found.items()}
    assert counts == {"animacy": {"animate": 48, "inanimate": 44},
                      "faces": {"face": 24, "body": 24},
                      "humanness": {"human": 24, "nonhuman": 24}}


def test_other_files_are_refused_in_one_sentence(tmp_path):
    savemat(tmp_path / "other.mat", {"RDMs": np.eye(3)})
    (tmp_path / "text.mat").write_text("no matlab" * 100)
    few = publish(tmp_path / "few", names=NAMES[:5])
    odd = publish(tmp_path / "odd", names=[*NAMES[:91], "teapot"])
    for path, said in ((tmp_path / "other.mat", "does not hold the 92 objects: it has RDMs, not"),
                       (tmp_path / "text.mat", "cannot be read as a MATLAB file"),
                       (tmp_path / "missing.mat", "there is no such file"),
                       (few, "has 5 objects, not 92"), (odd, "objects of the category 'teapot'")):
        with pytest.raises(DatasetError, match=said) as problem:
            datasets.load(path, shape=(3, 8, 8))
        assert "\n" not in str(problem.value)
        assert objects92.FILE in str(problem.value)


def test_the_protocol_is_ready_to_run_with_the_path(tmp_path):
    folder = publish(tmp_path / "it")
    with pytest.warns(UserWarning, match="knows 0 of the 6 classes") as said:
        experiment = prepare("objects92", dataset=str(folder))
    assert "folders" not in str(said[0].message)  # of pictures: no help here
    assert experiment.model.name == "cifar10-leaky" and experiment.record.reduce == "none"
    assert experiment.images.images.shape == (92, 3, 32, 32)
    assert (experiment.images.labels == -1).all()
    assert experiment.protocol.dataset is None
    assert [one.name for one in experiment.protocol.conditions] == [
        "shown_ms=105", "shown_ms=300"]


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference/kriegeskorte2008_92")
def test_the_published_file():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = datasets.load(SHARED, shape=(3,))
    assert found.images.shape == (92, 3, 175, 175)
    assert [found.classes[label] for label in found.labels] == NAMES
    assert (found.images[:, :, 0, 0] == 128).all()
