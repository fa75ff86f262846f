"""Fig. 7: one convolution for every layer, state and step, at two widths."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

NAMES = {"tied-16": "16 features", "tied-32": "32 features"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors by epoch."""
    runner.learning(axes[0], table, NAMES, "3-state ResNet, all tied")


EXPERIMENT = runner.Experiment("figure07", "Fig. 7: one convolution for everything", list(NAMES),
                               draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
