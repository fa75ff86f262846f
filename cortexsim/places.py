"""Where results lie: in a folder of this machine, or in an object store.

A place has pathlib's interface. On this machine it is a :class:`pathlib.Path`; ``s3://...``,
and whatever else fsspec knows, is a ``UPath`` of universal_pathlib, which has the same
methods. Credentials, endpoints and further settings are those of fsspec and of the store's own
client: environment variables such as ``AWS_ENDPOINT_URL``, and their files.

In an object store there are no folders to be made, and an object appears whole or not at all.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from .errors import CortexSimError, RecordingError, unknown

#: How long a store is waited for when it is first asked, in seconds. Later on its client is as
#: patient as it is set to be: a night's run outlasts a short fault of the network.
PATIENCE_S = 30
#: Kinds of stores that a misspelt one may stand for; there are many more.
_KINDS = ("s3", "gs", "az", "abfs", "memory", "file")
#: Two letters or more, since one is a drive of Windows; pathlib makes one slash of two.
_URL = re.compile(r"([a-zA-Z][\w+.-]+):/+(.*)")
#: What a store without exclusive creation says of it.
_UNABLE = {errno.ENOSYS, errno.EOPNOTSUPP}


def place(given: str | Path) -> Path:
    """Return the place that a user named.

    Parameters
    ----------
    given
        A path of this machine, a URL such as ``s3://bucket/run``, or a place.

    Raises
    ------
    RecordingError
        If there is no such kind of store, or the package for it is missing.
    """
    if far(given):
        options = cast(Any, given).storage_options
        return _remote(str(given), {**options, "use_listings_cache": False})
    found = _URL.fullmatch(str(given))
    if found is None:
        return Path(given)
    scheme, rest = found[1].lower(), found[2].rstrip("/")
    if scheme in ("file", "local"):
        return Path(f"/{rest}")
    # others write there too: what a listing said once may be so no longer
    return _remote(f"{scheme}://{rest}", {"use_listings_cache": False})


def expanded(path: str | Path) -> Path:
    """Return a path of this machine with the home folder in place of ``~``.

    Raises
    ------
    CortexSimError
        If nobody knows that home folder, as of an unknown user, or of one without a name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise CortexSimError(f"{path}: no home folder is known for "
                             f"'{Path(path).parts[0]}'; write the whole path") from None


def far(given: object) -> bool:
    """Whether a place is in an object store, not in a folder of this machine."""
    return getattr(given, "protocol", "") not in ("", "file", "local")


def _remote(url: str, options: Mapping[str, Any]) -> Path:
    kind = url.partition(":")[0]
    try:
        from upath import UPath

        found = UPath(url, **options)
        _ = found.fs  # imports the client
    except ImportError as problem:
        said = ("results in an object store need further packages: pip install "
                "'cortexsim[cloud]'" if kind in ("s3", "s3a") or problem.name == "upath"
                else str(problem).rstrip("."))
        raise RecordingError(f"{url}: {said}") from None
    except ValueError as problem:
        said = unknown("kind of store", kind, _KINDS) if "nsupported" in str(problem) or (
            "not known" in str(problem)) else str(problem)
        raise RecordingError(f"{url}: {said}") from None
    except OSError as problem:  # some clients get in touch at once
        raise _unusable(url, problem) from None
    return cast(Path, found)


def _unusable(where: object, problem: OSError) -> RecordingError:
    return RecordingError(f"{where}: the store cannot be used ({reason(problem)}); check its name, "
                          "the endpoint, and your access to it")


def exists(where: Path) -> bool:
    """Say whether anything is at a place.

    Raises
    ------
    RecordingError
        If the object store does not answer, lets nobody in, or has no such bucket.
    """
    if not far(where):
        return where.exists() or where.is_symlink()
    fs, path = _client(where)
    limit = {"timeout": PATIENCE_S} if fs.async_impl else {}
    try:
        with faults():
            try:
                return bool(fs.ls(path, detail=False, **limit))
            except FileNotFoundError:
                top = [where, *where.parents][-1]
                if fs.exists(_client(top)[1], **limit):
                    return False
    except TimeoutError:
        raise RecordingError(f"{where}: the store did not answer within {PATIENCE_S} s; check the "
                             "network, and the endpoint") from None
    except OSError as problem:
        raise _unusable(where, problem) from None
    raise RecordingError(f"{where}: there is no {str(top).rstrip('/')}, or none that you may see; "
                         "make it, or check its name and the endpoint")


@contextmanager
def faults() -> Iterator[None]:
    """Raise an OSError in place of an error that the client of an object store has of its own."""
    try:
        yield
    except (OSError, CortexSimError):
        raise
    except Exception as problem:
        if type(problem).__module__ == "builtins":
            raise  # a defect
        raise OSError(reason(problem)) from problem


def reason(problem: Exception) -> str:
    """Return what the system or a store's client says, in one line."""
    said = getattr(problem, "strerror", None) or str(problem)
    return " ".join(said.split()).rstrip(".") or type(problem).__name__


def sizes(where: Path) -> dict[str, int]:
    """Return the size in bytes of every object below a place of an object store.

    Parameters
    ----------
    where
        The place. It is listed as a whole: a thousand objects a request, or so.

    Returns
    -------
    dict
        By path from the place on.
    """
    fs, path = _client(where)
    with faults():
        found: dict[str, dict[str, Any]] = fs.find(path, detail=True)
    # some list the place itself, as long as it was not tidied up
    return {name.removeprefix(f"{path}/"): about["size"] for name, about in found.items()
            if name.startswith(f"{path}/")}


def send(where: Path, objects: Mapping[str, bytes]) -> None:
    """Write many objects below a place of an object store, several at a time.

    Parameters
    ----------
    where
        The place.
    objects
        All that goes into each, by path from the place on.
    """
    fs, path = _client(where)
    with faults():
        fs.pipe({f"{path}/{name}" if name else path: data for name, data in objects.items()})


def upload(file: Path, where: Path) -> None:
    """Copy a file, or a folder with all that is in it, to a place of an object store."""
    fs, path = _client(where)
    with faults():
        # a folder is not put into what is there, but becomes it
        fs.put(str(file) + "/" * file.is_dir(), path + "/" * file.is_dir(),
               recursive=file.is_dir())


def create(where: Path, data: bytes) -> None:
    """Write an object of an object store that is not there yet.

    Of two processes that do so at once one succeeds, where the store has a conditional write
    (S3, Google Storage and Azure do). On others it is looked for first, and two that come within
    the same moment are not told apart.

    Raises
    ------
    FileExistsError
        If it is there.
    """
    fs, path = _client(where)
    with faults():
        try:
            fs.pipe_file(path, data, mode="create")
        except (OSError, NotImplementedError, ValueError) as problem:
            # stores differ in how they say that it is there, or that they cannot tell
            if fs.exists(path):
                raise FileExistsError(errno.EEXIST, "it is there already", str(where)) from None
            if isinstance(problem, OSError) and problem.errno not in _UNABLE:
                raise
            fs.pipe_file(path, data)


def remove(where: Path) -> None:
    """Take away a place and all that is in it."""
    if not far(where):
        shutil.rmtree(where)
        return
    fs, path = _client(where)
    with faults():
        fs.rm(path, recursive=True)


def clear(where: Path) -> None:
    """Take away all that is in a place; in an object store a place with nothing is none."""
    if far(where):
        remove(where)
        return
    for item in where.iterdir():
        shutil.rmtree(item) if item.is_dir() else item.unlink()


def _client(where: Path) -> tuple[Any, str]:
    """Return the file system of fsspec that has a place, and what it calls the place."""
    remote = cast(Any, where)
    return remote.fs, remote.path.rstrip("/") or remote.path
