"""Statistics shared over time against time-specific ones; time-specific scale and shift."""

from __future__ import annotations

import pandas as pd
import runner
from claims import final
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import points

NAMES = {"2state-shared": "time-specific\nstatistics",
         "2state-shared shared statistics": "shared\nstatistics",
         "2state-scale-shift": "time-specific\nscale and shift"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors at the end."""
    rows = pd.concat([final(table), table[table.condition == "shared statistics"]])
    rows = rows.assign(which=(rows.configuration + " " + rows.condition).str.strip())
    points(axes[0], rows, "error", "which", labels=NAMES)
    runner.panel(axes[0], "2-state full network, test images", "")


EXPERIMENT = runner.Experiment("normalization", "Normalization in time",
                               ["2state-shared", "2state-scale-shift"], draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
