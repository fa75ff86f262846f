"""Commands that faults are done to: how each is begun, gone on with, and told to be whole.

A story is one command in a folder of its own, ``begin`` and ``go_on`` until it has come to its
end; ``whole`` is what the folder must then hold, and ``there`` says in a word how far it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image
from safetensors.torch import load_file

from cortexsim import analysis
from cortexsim.checksums import NOT_DONE
from cortexsim.errors import CheckpointError, RecordingError
from cortexsim.models import checkpoint
from tests.conftest import SHORT, _network

#: Keys of a recording's or a checkpoint's JSON that say when, how long and by which command.
TIMES = {"created", "command", "resumed", "seconds"}
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}|D:[0-9]{14}")


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Attributes
    ----------
    name
        Its first word.
    prepare
        Puts into a story's folder what it needs, from the folder that :func:`material` made.
    begin
        Its line.
    go_on
        Given the story's folder, the line to type after a fault.
    there
        Given it, says how far the command has come. Raises AssertionError where something
        looks whole and is not.
    whole
        Given it, the files that are left, by name: bytes that do not depend on the time.
    """

    name: str
    prepare: Callable[[Path, Path], None]
    begin: list[str]
    go_on: Callable[[Path], list[str]]
    there: Callable[[Path], str]
    whole: Callable[[Path], dict[str, bytes]]


def material(folder: Path) -> Path:
    """Make a tiny network and a short protocol, and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _network(folder / "tiny", 1)
    (folder / "short.yaml").write_text(SHORT)
    return folder


def _copy(*names: str) -> Callable[[Path, Path], None]:
    def prepare(made: Path, story: Path) -> None:
        for name in names:
            if (made / name).is_dir():
                shutil.copytree(made / name, story / name)
            else:
                shutil.copy(made / name, story / name)

    return prepare


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield all that is in a folder, empty folders too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() or not any(path.iterdir()):
            yield str(path.relative_to(folder)), path


def _timeless(text: str) -> bytes:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(one) for key, one in value.items() if key not in TIMES}
        return [without(one) for one in value] if isinstance(value, list) else value

    return json.dumps(without(json.loads(text)), sort_keys=True).encode()


# --- run


RUN = ["run", "short.yaml", "--model", "tiny", "--dataset", "digits-clean", "--trials", "160",
       "--batch", "4", "--reduce", "none", "--out", "out"]


def _run_goes_on(story: Path) -> list[str]:
    begun = (story / "out/recording.zarr/zarr.json").exists()
    return ["run", "--resume", "out"] if begun else RUN


#: What a run leaves beside its recording.
_BESIDE = {"accuracy.csv", "responses.csv", "figure.pdf", "figure.png", "provenance.json"}


def recording_there(story: Path) -> str:
    """Say how far a run is; what opens must be whole."""
    out = story / "out"
    if not out.exists():
        return "nothing"
    store = out / "recording.zarr"
    if not store.exists():
        assert not any(out.iterdir()), list(out.iterdir())
        return "an empty folder"
    try:
        analysis.verify(out)
    except RecordingError as problem:
        told = str(problem)
        assert "is incomplete: " in told or "is not a recording" in told, told
        assert not list(out.glob("*.csv")) and not list(out.glob("figure*")), told
        root = store / "zarr.json"
        if not root.exists():
            return "the store's folder"
        if not json.loads(root.read_text()).get("consolidated_metadata"):
            return "a store being laid out"
        return f"{len(list((store / 'done/c').glob('*[0-9]')))} chunks"
    left = {path.name for path in out.iterdir()}
    missing = _BESIDE - left
    return f"whole, without {', '.join(sorted(missing))}" if missing else "whole"


def chunks_done(story: Path) -> int:
    """Return how many chunks a run has on disk."""
    import zarr

    try:
        done = np.asarray(zarr.open_group(str(story / "out/recording.zarr"), mode="r")["done"][:])
    except (OSError, KeyError, ValueError):
        return 0
    return int((done != NOT_DONE).sum())


def recording_whole(story: Path) -> dict[str, bytes]:
    """Return what a run left: chunks and tables byte for byte, attributes without times."""
    analysis.verify(story / "out")
    found = {}
    for name, path in files(story / "out"):
        if path.suffix == ".json":
            # a recording knows where its network was: each story has its own
            found[name] = _timeless(re.sub(r'"[^"]*/tiny"', '"tiny"', path.read_text()))
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                found[name] = picture.tobytes()
        else:
            found[name] = _DATE.sub(b"", path.read_bytes()) if path.suffix == ".pdf" else (
                path.read_bytes())
    return found


# --- train and calibrate


TRAIN = ["train", "--dataset", "digits-clean", "--holdout", "1333", "--batch-size", "8",
         "--areas", "V1,IT", "--channels", "4,6", "--sizes", "8,4", "--readout-time", "3",
         "--epochs", "4", "--seed", "5", "--precision", "float32", "--device", "cpu", "--out",
         "out"]


def _train_goes_on(story: Path) -> list[str]:
    begun = (story / "out" / checkpoint.CARD).exists()
    return ["train", "--resume", "out"] if begun else TRAIN


def network_there(story: Path) -> str:
    """Say how far a training is; what loads must be whole, whatever was being written."""
    if not (story / "out").exists():
        return "nothing"
    try:
        card = checkpoint.load(story / "out").card
    except CheckpointError as problem:
        assert f"no {checkpoint.CARD}" in str(problem), problem
        return "no checkpoint"
    at = card.get("position")
    return "whole" if at is None else f"epoch {at['epoch']}"


def network_whole(story: Path) -> dict[str, bytes]:
    """Return what a training left: weights byte for byte, card and metrics without times."""
    found = {}
    card = json.loads((story / "out" / checkpoint.CARD).read_text())
    for name, path in files(story / "out"):
        if path.name == checkpoint.CARD:
            found[name] = _timeless(path.read_text().replace(card["weights"]["file"], "weights"))
        elif path.name == card["weights"]["file"]:
            # the sum over the tensors, too: what the card promises
            assert hashlib.sha256(path.read_bytes()).hexdigest() == card["weights"]["sha256"]
            assert load_file(path)
            found["weights"] = path.read_bytes()
        elif path.suffix == ".csv":
            rows = [line.rpartition(",")[0] for line in path.read_text().splitlines()]
            found[name] = "\n".join(rows).encode()
        else:
            found[name] = path.read_bytes()
    return found


CALIBRATE = ["calibrate", "out", "--steps", "60"]


def _calibrate_prepared(made: Path, story: Path) -> None:
    shutil.copytree(made / "trained", story / "out")


def calibrated_there(story: Path) -> str:
    """Say which calibration a checkpoint has; it must be whole at any moment."""
    return f"calibrated to {checkpoint.load(story / 'out').card['calibration']['steps']}"


# --- report


REPORT = ["report", "out"]


def _report_prepared(made: Path, story: Path) -> None:
    shutil.copytree(made / "recorded", story / "out")


def report_there(story: Path) -> str:
    """Say whether there is a report; one that is there must be whole."""
    page = story / "out" / "report.html"
    if page.exists():
        assert page.read_text().rstrip().endswith("</html>")
    return "a report" if page.exists() else "no report"


def report_whole(story: Path) -> dict[str, bytes]:
    """Return all that is in a run's folder, its report with it."""
    return {name: path.read_bytes() for name, path in files(story / "out")}


EXPORT = ["export", "out", "--to", "netcdf"]


def export_there(story: Path) -> str:
    """Say whether there is an export; one that is there must be whole."""
    if not (story / "out" / "recording.nc").exists():
        return "no export"
    with xr.open_datatree(story / "out" / "recording.nc", engine="h5netcdf") as tree:
        assert "scores" in tree.data_vars and len(tree.children) == 4
    return "an export"


COMMANDS = {
    command.name: command for command in (
        Command("run", _copy("tiny", "short.yaml"), RUN, _run_goes_on, recording_there,
                recording_whole),
        Command("train", lambda made, story: None, TRAIN, _train_goes_on, network_there,
                network_whole),
        Command("calibrate", _calibrate_prepared, CALIBRATE, lambda story: CALIBRATE,
                calibrated_there, network_whole),
        Command("report", _report_prepared, REPORT, lambda story: REPORT, report_there,
                report_whole),
        Command("export", _report_prepared, EXPORT, lambda story: EXPORT, export_there,
                report_whole),
    )
}
