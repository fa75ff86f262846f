"""CIFAR-10 from its official files, read by torchvision after each file's md5 was checked."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import os
import shutil
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import places
from ..errors import CortexSimError, DatasetError
from .datasets import Dataset, split_rows

TRAINING, TEST = 50_000, 10_000
FOLDER = "cifar-10-batches-py"
#: Longest wait for an answer: the first covers a name server that says nothing.
PROBE_SECONDS, STALL_SECONDS = 4.0, 20.0


def default_root() -> Path:
    """Return the folder of data sets: ``CORTEXSIM_DATA``, else ``~/.cache/cortexsim``.

    Raises
    ------
    CortexSimError
        If nobody knows the home folder.
    """
    try:
        return places.expanded(os.environ.get("CORTEXSIM_DATA") or "~/.cache/cortexsim")
    except CortexSimError as problem:
        raise CortexSimError(f"where are the data sets? {problem}; CORTEXSIM_DATA names their "
                             "folder") from None


def official_files() -> dict[str, str]:
    """Return the md5 that torchvision lists for each official file."""
    from torchvision.datasets import CIFAR10

    batches = [*CIFAR10.train_list, *CIFAR10.test_list]
    return {name: md5 for name, md5 in batches} | {
        CIFAR10.meta["filename"]: CIFAR10.meta["md5"]
    }


def load(
    name: str, split: str, *, holdout: int, seed: int = 0, root: str | Path | None = None,
) -> Dataset:
    """Load a split of CIFAR-10, downloading it where there is a network.

    Parameters
    ----------
    name
        Name that the data set bears.
    split
        ``train``, ``validation`` or ``test``.
    holdout
        Training images, from the end, that are ``validation``.
    seed
        Not used: nothing is drawn.
    root
        Folder that holds ``cifar-10-batches-py``, or that folder itself.

    Raises
    ------
    DatasetError
        If files are missing and cannot be downloaded, or are damaged.
    """
    rows = split_rows(name, split, TRAINING, TEST, holdout)
    where = default_root() if root is None else places.expanded(root)
    if where.name == FOLDER and not (where / FOLDER).exists():
        where = where.parent
    present = [file for file in official_files() if (where / FOLDER / file).is_file()]
    if not present:
        download(where)
    check(where)
    from torchvision.datasets import CIFAR10

    with warnings.catch_warnings():
        # the official files were pickled with a numpy of 2009
        warnings.filterwarnings("ignore", message=".*align should be passed")
        official = CIFAR10(str(where), train=split != "test")
    start = TRAINING if split == "test" else 0
    chosen = slice(rows.start - start, rows.stop - start)
    kind = "test" if split == "test" else "train"
    images = np.ascontiguousarray(official.data[chosen].transpose(0, 3, 1, 2))
    labels = np.array(official.targets[chosen], dtype=np.int64)
    ids = [f"cifar10-{kind}-{row - start:05d}" for row in rows]
    return Dataset(images, labels, ids, tuple(official.classes), name, split)


def check(root: Path) -> None:
    """Compare each official file under `root` with its published md5.

    The files are pickles, which can run code when read: nothing reads them before this.

    Raises
    ------
    DatasetError
        Naming the first file that is missing, unreadable or damaged.
    """
    for name, md5 in official_files().items():
        path = root / FOLDER / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "md5").hexdigest()
        except FileNotFoundError:
            raise DatasetError(
                f"{path} is missing: put the official file there, or remove the folder "
                f"{path.parent} to have all of CIFAR-10 downloaded again"
            ) from None
        except OSError as problem:
            raise DatasetError(f"{path} cannot be read ({problem.strerror})") from None
        if found != md5:
            raise DatasetError(
                f"{path} is damaged (its md5 differs from the published one): remove it and "
                f"put the official file there, or remove the folder {path.parent} to have all "
                "of CIFAR-10 downloaded again"
            )


def download(root: Path) -> None:
    """Download the official archive and unpack it under `root`, wholly or not at all.

    An official archive that already lies under `root` is used as it is. The progress
    bar shows on a terminal only.

    Raises
    ------
    DatasetError
        If there is no network, or the download breaks off, or the disk is full.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    archive = root / CIFAR10.filename
    kept = check_integrity(str(archive), CIFAR10.tgz_md5)
    if not kept:
        trouble = _probe(CIFAR10.url)
        if trouble:
            raise DatasetError(_advice(root, CIFAR10.url, trouble))
    unpacked = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        unpacked = Path(tempfile.mkdtemp(prefix=".cifar10-", dir=root))
        with _quiet(), _stall_limit():
            download_and_extract_archive(
                CIFAR10.url, str(root), str(unpacked), CIFAR10.filename, CIFAR10.tgz_md5
            )
        # renamed last, so that an interrupted download leaves nothing that looks complete
        (unpacked / FOLDER).rename(root / FOLDER)
        if not kept:
            archive.unlink()
    except (OSError, RuntimeError, http.client.HTTPException) as problem:
        raise DatasetError(_advice(root, CIFAR10.url, str(problem))) from None
    finally:
        if unpacked is not None:
            shutil.rmtree(unpacked, ignore_errors=True)


def _advice(root: Path, url: str, reason: str) -> str:
    return (
        f"CIFAR-10 is not in {root} and could not be downloaded from {url} ({reason}): "
        f"put the official folder {FOLDER} under {root}, or pass --data-root with the folder "
        "that holds it"
    )


def _probe(url: str) -> str | None:
    """Ask for the archive's headers; return what is wrong, or None.

    In a thread that may be left behind: no timeout reaches a name server that hangs.
    """
    answer: list[str | None] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                answer.append(None)
        except urllib.error.HTTPError as problem:
            answer.append(f"the server answers {problem.code}")
        except urllib.error.URLError as problem:
            answer.append(str(problem.reason))
        except (OSError, ValueError, http.client.HTTPException) as problem:
            answer.append(str(problem) or type(problem).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 0.5)
    return answer[0] if answer else "no answer"


@contextlib.contextmanager
def _stall_limit() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide torchvision's progress bar unless a person is watching."""
    if sys.stderr is not None and sys.stderr.isatty():
        yield
    else:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
