"""Measurements of real cortex and of people, to compare recordings with.

Small tables of published summaries come along (``data/reference``); a file of one's own with
the same columns works the same way. Lines at a file's beginning that start with ``#`` say
where its numbers come from, as ``# citation: ...`` and ``# status: ...``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .. import resources
from ..errors import ReferenceFileError, unknown

#: Of a table; those that come along have some kB.
MAX_BYTES = 5_000_000


@dataclass(frozen=True)
class Reference:
    """A table of measurements, and where it comes from.

    Attributes
    ----------
    name
        Of the table, or of the file it was read from.
    table
        The measurements.
    citation
        What to cite; empty where the file does not say.
    status
        How far the numbers were checked against their source.
    """

    name: str
    table: pd.DataFrame
    citation: str = ""
    status: str = ""


def names() -> list[str]:
    """Return the names of the tables that come along."""
    return [path.stem for path in sorted((resources.folder("data") / "reference").glob("*.csv"))]


def read(source: str | Path, needed: Sequence[str] = ()) -> Reference:
    """Read a table of measurements.

    Parameters
    ----------
    source
        A name of :func:`names`, or a CSV file.
    needed
        Columns that there must be.

    Raises
    ------
    ReferenceFileError
        If there is no such table, it cannot be read, lacks a column, or has no rows; the
        message says what is there and what is needed.
    """
    path = Path(source)
    if str(source) in names():
        path = resources.folder("data") / "reference" / f"{source}.csv"
    elif not path.is_file():
        raise ReferenceFileError(f"{unknown('reference table', source, names())}; or give a CSV "
                                 f"file with the columns {', '.join(needed)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReferenceFileError(f"{path} has more than {MAX_BYTES:,} bytes, which no table of "
                                     "measurements has")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        table = pd.read_csv(path, comment="#", encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as why:
        raise ReferenceFileError(f"{path} cannot be read as a CSV table ({why})") from None
    missing = [name for name in needed if name not in table]
    if missing:
        raise ReferenceFileError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: it has "
            f"{', '.join(map(str, table.columns))}; {', '.join(needed)} are needed")
    if table.empty:
        raise ReferenceFileError(f"{path} has no rows, only the columns "
                                 f"{', '.join(map(str, table))}")
    about: dict[str, str] = {}
    for line in lines:
        if not line.startswith("#"):
            break
        key, _, value = line.lstrip("# ").partition(":")
        about[key.strip()] = value.strip()
    return Reference(path.stem, table, about.get("citation", ""), about.get("status", ""))
