"""Fig. 11: a plain recurrent network beside a ResNet with shared weights."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

NAMES = {"1state-shared": "identity shortcut", "plain-rnn": "plain"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors by epoch."""
    runner.learning(axes[0], table, NAMES, "1 state, shared weights")


EXPERIMENT = runner.Experiment("figure11", "Fig. 11: without the identity shortcut", list(NAMES),
                               draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
