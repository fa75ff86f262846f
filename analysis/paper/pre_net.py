"""A pre-net of three convolutions against one of one."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

NAMES = {"3state-onset": "one convolution", "3state-full": "three convolutions"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors by epoch."""
    runner.learning(axes[0], table, NAMES, "3-state full network")


EXPERIMENT = runner.Experiment("pre_net", "Pre-net of one and three convolutions", list(NAMES),
                               draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
