"""Every parser on hostile input: read, or refused in a sentence; never a traceback, never a hang.

The numbers of a run are printed, and written as JSON into the folder that the environment
variable ``CORTEXSIM_FUZZ`` names. ``CORTEXSIM_FUZZ_SEED`` chooses other inputs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .inputs import inputs
from .targets import ROOT, TARGETS, lay_out
from .watch import WAITING, Watch, limits

SMOKE, SLOW, SOAK = 20, 5_000, 100_000
SEED = int(os.environ.get("CORTEXSIM_FUZZ_SEED", "1"))


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture
def place(laid_out, tmp_path) -> Path:
    return Path(shutil.copytree(laid_out, tmp_path / "place"))


def result(watch_name: str, fuzzer: str) -> Path | None:
    folder = os.environ.get("CORTEXSIM_FUZZ")
    return Path(folder) / f"{watch_name}-{fuzzer}.json" if folder else None


def by_structure(name: str, place: Path, count: int) -> Watch:
    """Read so many inputs that Hypothesis makes out of whole files."""
    target, watch, numbers = TARGETS[name], Watch(name, "hypothesis"), result(name, "hypothesis")
    seeds = target.seeds(place)
    for data in seeds:  # what is loaded on first use counts for none of the inputs
        assert Watch(name, "").run(target, data, place)

    @seed(SEED)
    @settings(max_examples=count, deadline=None, database=None, derandomize=False,
              phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
    @given(inputs(target.form, seeds))
    def one(data: bytes) -> None:
        with limits():
            watch.run(target, data, place)
        if watch.inputs % 500 == 0:  # a soak takes hours
            watch.save(numbers)

    one()
    watch.save(numbers)
    print(watch.line())
    return watch


def by_coverage(name: str, place: Path, count: int) -> Path:
    """Read so many inputs that Atheris finds its way to; return the place of its numbers."""
    pytest.importorskip("atheris", reason="atheris, the coverage-guided fuzzer, is not installed")
    corpus, crashes = place / "corpus", place / "crashes"
    for folder in (corpus, crashes):
        folder.mkdir()
    for row, data in enumerate(TARGETS[name].seeds(place)):
        (corpus / str(row)).write_bytes(data)
    numbers = result(name, "atheris") or place / "numbers.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.coverage_guided", name, str(place), str(numbers),
         f"-runs={count}", f"-seed={SEED}", f"-timeout={WAITING:g}", "-rss_limit_mb=1024",
         f"-report_slow_units={WAITING:g}",  # on the clock, which others slow down
         "-max_len=20000", "-verbosity=0", f"-artifact_prefix={crashes}/", str(corpus)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    found = [path.read_bytes()[:2000] for path in crashes.iterdir()]
    assert done.returncode == 0 and not found, (
        f"{found}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    print(next(line for line in done.stdout.splitlines() if " inputs in " in line))
    return numbers


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs_of_each_kind(name, place):
    assert by_structure(name, place, SMOKE).inputs >= SMOKE // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_inputs_by_structure(name, place):
    watch = by_structure(name, place, SLOW)
    assert watch.refused > 100 and watch.accepted > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_inputs_by_coverage(name, place):
    assert by_coverage(name, place, SLOW).is_file()


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_thousand_inputs_by_structure(name, place):
    watch = by_structure(name, place, SOAK)
    assert watch.refused > 1000 and watch.accepted > 50


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_thousand_inputs_by_coverage(name, place):
    assert by_coverage(name, place, SOAK).is_file()
