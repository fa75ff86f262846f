"""Networks made from trained ones: the same weights under another rule."""

from __future__ import annotations

import copy
from dataclasses import replace

from ..graph import Normalization
from .network import Network


def with_statistics(network: Network, statistics: str) -> Network:
    """Return a copy of a network whose statistics of normalization follow the other rule.

    Training uses the statistics of the batch under either rule, so that the same
    trained weights serve both.

    Parameters
    ----------
    network
        Not changed.
    statistics
        ``"time-specific"`` or ``"shared"``; see :class:`Normalization`.

    Returns
    -------
    Network
        Without statistics: to be calibrated, see :func:`calibrate`.

    Raises
    ------
    GraphError
        If there is no such rule.
    """
    rule = Normalization(statistics, network.graph.normalization.scale_shift)
    made = copy.deepcopy(network)
    made.graph, made.origin = replace(network.graph, normalization=rule), {}
    made.calibration = {}
    made.statistics.forget()
    made.statistics.shared = statistics == "shared"
    return made
