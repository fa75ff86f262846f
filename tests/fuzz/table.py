"""Put the numbers of fuzzing into one table: python -m tests.fuzz.table FOLDER OUT --commit C.

FOLDER is the one that ``CORTEXSIM_FUZZ`` named; seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--suite", choices=("slow", "soak"), default="soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hardware", default=platform.machine())
    given = parser.parse_args()
    command = f"CORTEXSIM_FUZZ_SEED={given.seed} pytest -m {given.suite} tests/fuzz"
    rows = [{**json.loads(path.read_text()), "seed": given.seed, "commit": given.commit,
             "command": command, "hardware": given.hardware}
            for path in sorted(given.folder.glob("*.json"))]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
