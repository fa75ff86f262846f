"""Make the known answer of the self-test anew: ``python -m cortexsim.doctor.answer``.

In a checkout, for when the numbers are meant to change: another network or protocol.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import metadata

from .. import __version__, files, machine
from .network import ANSWER, folder, measure

if __name__ == "__main__":
    made = {"command": "python -m cortexsim.doctor.answer", "cortexsim": __version__,
            "torch": metadata.version("torch"), "numpy": metadata.version("numpy"),
            "processor": machine.processor(),
            "created": datetime.now(UTC).isoformat(timespec="seconds")}
    files.write(folder() / ANSWER, json.dumps({"made": made, **measure()}) + "\n")
