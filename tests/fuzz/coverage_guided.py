"""Fuzz one target by coverage with Atheris, in a process of its own.

::

    python -m tests.fuzz.coverage_guided TARGET FOLDER RESULT -runs=N -seed=S ...

FOLDER is one that :func:`targets.lay_out` made; what follows is libFuzzer's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cortexsim", "ruamel.yaml"]):
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.watch import Watch


def main() -> None:
    name, place, result, *options = sys.argv[1:]
    runs = next(int(given.removeprefix("-runs=")) for given in options if "-runs=" in given)
    target, watch = TARGETS[name], Watch(name, "atheris")

    def one(data: bytes) -> None:
        watch.run(target, data, Path(place))
        if watch.inputs % 500 == 0 or watch.inputs >= runs:
            watch.save(Path(result))
        if watch.inputs == runs:
            print(watch.line())

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
