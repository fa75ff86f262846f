"""Fig. 10: trained at one readout time, read at others."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import curves

NAME = "adjacent-T10"
LABELS = {"test": "test, calibrated for each step", "test last statistics":
          "test, statistics of step 10 held", "train unaugmented": "training, calibrated"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors against the readout time."""
    read = table[(table.split == "test") | (table.condition == "unaugmented")]
    read = read.assign(curve=(read.split + " " + read.condition).str.strip())
    axes[0].axvline(10, color="0.8", lw=6)
    curves(axes[0], read, "time", "error", "curve", labels=LABELS,
           dashed=["test last statistics"])
    runner.panel(axes[0], "Trained at T = 10", "Readout time (steps)")


EXPERIMENT = runner.Experiment("figure10", "Fig. 10: read at other times than trained", [NAME],
                               draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
