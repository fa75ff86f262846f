"""Train and measure every network of the paper's experiments, and draw all figures.

Stopped, it goes on where it was when started again; a second one beside it shares the work.
"""

from __future__ import annotations

from importlib import import_module

import claims
import runner

EXPERIMENTS = [import_module(name).EXPERIMENT for name in claims.CLAIMS]

if __name__ == "__main__":
    runner.main(EXPERIMENTS)
