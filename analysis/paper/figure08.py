"""Fig. 8: the 2-state full network, trained and read at several times."""

from __future__ import annotations

import pandas as pd
import runner
from claims import final
from configurations import READ_AT
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import points

NAMES = {name: f"T = {time}" for time, name in READ_AT.items()}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors by epoch, and at the end against the readout time."""
    runner.learning(axes[0], table, NAMES, "Held-out images", training=False)
    points(axes[1], final(table), "error", "configuration", labels=NAMES)
    runner.panel(axes[1], "Test images, at the end", "Trained and read at")


EXPERIMENT = runner.Experiment("figure08", "Fig. 8: readout time, 2-state full network",
                               list(NAMES), draw, panels=2)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
