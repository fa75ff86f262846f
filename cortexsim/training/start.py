"""The network that a training starts from: of random weights, or of a trained network's."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import CheckpointError, GraphError, SimulationError
from ..graph import AreaGraph
from ..models import checkpoint
from ..models.derive import carried
from ..models.network import Network
from .state import Settings


def starting_network(graph: AreaGraph, settings: Settings, classes: Sequence[str],
                     ) -> tuple[Network, dict[str, dict[str, str]]]:
    """Return the network, and what the card says of its start.

    Parameters
    ----------
    graph
        To be trained.
    settings
        Its ``init`` names a checkpoint, if weights are not random.
    classes
        Names of the classes.

    Returns
    -------
    tuple
        The network, and entries of the card: ``init`` with the ``name`` of the network
        it started from and the ``sha256`` of its weights.

    Raises
    ------
    CortexSimError
        If the checkpoint cannot be read, or does not fit graph and classes.
    """
    if settings.init is None:
        return Network(graph, classes=len(classes), seed=settings.seed), {}
    loaded = checkpoint.load(settings.init)
    if list(loaded.card["class_names"]) != list(classes):
        raise SimulationError(
            f"network '{loaded.name}' tells apart "
            f"{', '.join(map(str, loaded.card['class_names']))}; data set '{settings.dataset}' "
            f"has {', '.join(classes)}: start from a network of the same classes")
    try:
        network = carried(loaded.network, graph, graph.readout_time)
    except GraphError as problem:
        raise CheckpointError(f"{loaded.folder}: {problem}") from None
    return network, {"init": {"name": loaded.name, "sha256": loaded.sha256}}
