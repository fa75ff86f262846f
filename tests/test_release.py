"""What is released: an sdist, a wheel made of it, and that wheel at work elsewhere.

The new environment borrows the packages of this one, of which torch alone would be gigabytes;
``.ci/run`` installs into one that is really empty.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cortexsim
from cortexsim import analysis, resources, schema
from cortexsim.experiment import run

ROOT = Path(cortexsim.__file__).parents[1]
needs_checkout = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(),
                                    reason="needs a checkout")


def call(*words: str | Path, cwd: Path, **more: str) -> str:
    """Run a program in a folder and return what it says; it must succeed."""
    hidden = {"PYTHONPATH", "CORTEXSIM_DATA"}
    env = {key: value for key, value in os.environ.items() if key not in hidden} | more
    ended = subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """Return an sdist, and a wheel that was built of it."""
    place = tmp_path_factory.mktemp("dist")
    # without isolation: the build's requirements are here, and nothing is downloaded
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", place, ".", cwd=ROOT)
    (sdist,), (wheel,) = place.glob("*.tar.gz"), place.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def program(built, tmp_path_factory) -> Path:
    """Return the folder of programs of a new environment with the wheel."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths["purelib"]) / "borrowed.pth").write_text("".join(f"{one}\n" for one in here))
    programs = Path(paths["scripts"])
    call(programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--force-reinstall", built[1], cwd=place)
    return programs


@needs_checkout
def test_the_version_is_said_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    latest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert latest is not None and latest[1] in ("Unreleased", cortexsim.__version__)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited is not None and cited[1] == cortexsim.__version__


@pytest.mark.slow
@needs_checkout
def test_the_wheel_has_all_that_comes_along(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    for folder, inside in (("protocols", "protocols"), ("data", "data"), ("cortexsim", "")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                where = Path("cortexsim", inside, path.relative_to(ROOT / folder))
                assert where.as_posix() in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests", "analysis")) for name in names)
    assert built[1].stat().st_size < 12e6


@pytest.mark.slow
@needs_checkout
def test_tests_of_the_sdist_run(built, tmp_path):
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    (inside,) = tmp_path.iterdir()
    for name in ("LICENSE", "CHANGELOG.md", "CITATION.cff", "SECURITY.md", "pyproject.toml",
                 "analysis/findings.md", "tests/formats/oldest.tar.xz"):
        assert (inside / name).is_file()
    said = call(sys.executable, "-m", "pytest", "-n", "0", "tests/test_clock.py", "tests/formats",
                "tests/test_release.py", "tests/test_provenance.py", cwd=inside)
    assert " passed" in said


@pytest.mark.slow
@needs_checkout
def test_the_wheel_at_work_gives_the_scores_of_the_checkout(program, tmp_path):
    work = tmp_path / "elsewhere"
    work.mkdir()
    where = call(program / "python", "-c", "import cortexsim; print(cortexsim.__file__)", cwd=work)
    assert Path(where.strip()).is_relative_to(program.parent)
    said = call(program / "cortexsim", "doctor", cwd=work)
    assert "installed" in said and "the known answer" in said
    assert f"{len(resources.protocols())} of {len(resources.protocols())} can be used" in said
    assert set(resources.networks()) <= set(call(program / "cortexsim", "models", cwd=work).split())
    assert "ventral-full" in call(program / "cortexsim", "graph", "--list", cwd=work)
    call(program / "cortexsim", "run", "backward_mask", "--trials", "20", "--out", "there",
         cwd=work)
    call(program / "cortexsim", "compare", "there", "--latencies", "schmolesky1998", cwd=work)
    here = run("backward_mask", trials=20, out=work / "here", figure=False).recording
    with analysis.open(work / "there") as there:
        assert there.attrs["versions"]["cortexsim"] == cortexsim.__version__
        # one machine and one torch: to the bit
        for group in ("/", *analysis.recording.areas(here)):
            for name in here[group].data_vars:
                if name == schema.DONE:
                    continue
                found, expected = there[group][name].values, here[group][name].values
                assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
