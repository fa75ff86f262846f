"""Train and measure every network of the paper's experiments.

    python analysis/paper/everything.py --scale small

Stopped, it goes on where it was when started again; a second one beside it shares the work.
"""

from __future__ import annotations

import runner

if __name__ == "__main__":
    runner.main(None)
