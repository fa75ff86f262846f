"""Kill commands as often as one likes, and write a table with one row for each kill.

::

    python -m tests.faults --kills 50 --out analysis/reliability/kills.csv
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
from dataclasses import asdict, fields
from pathlib import Path

from .commands import COMMANDS
from .kills import Kill, at_changes, at_random, prepared, some, undisturbed


def main() -> None:
    """Do it, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--kills", type=int, default=50, help="at random moments, of each command")
    parser.add_argument("--changes", type=int, default=0,
                        help="right before so many changes to files, of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, asked.out.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Kill)])
        table.writeheader()
        made = prepared(Path(place) / "made", asked.commands)
        for name in asked.commands:
            command, folder = COMMANDS[name], Path(place) / name
            whole = undisturbed(command, made, folder)
            for kill in itertools.chain(
                    at_random(command, made, folder, whole, asked.kills, asked.seed),
                    at_changes(command, made, folder, whole,
                               some(whole.changes, asked.changes) if asked.changes else [])):
                table.writerow(asdict(kill))
                file.flush()


if __name__ == "__main__":
    main()
