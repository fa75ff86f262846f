"""The frozen records an area graph is made of: areas, connections, the pre-net."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import validate_parts as validate


@dataclass(frozen=True)
class Area:
    """A node of the graph, holding one activity tensor.

    Parameters
    ----------
    name
        Letters, digits, ``_`` and ``-``, beginning with a letter.
    channels, height, width
        Shape of the activity of one trial. Height and width are None where the
        image alone decides them.
    activation
        ``"relu"`` sets what is negative to 0 after everything that comes in is
        summed; ``"none"``, the paper's, leaves the sum as it is.
    """

    name: str
    channels: int
    height: int | None = None
    width: int | None = None
    activation: str = "none"

    def __post_init__(self) -> None:
        """Check name and shape."""
        validate.check_area(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width; channels only where there is no fixed size."""
        if self.height is None or self.width is None:
            return (self.channels,)
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Connection:
    """A directed edge that carries a transition.

    Parameters
    ----------
    source, target
        Names of areas; the same name twice makes a lateral connection.
    transition
        ``"brc"`` (BN-ReLU-Conv), ``"brd"`` (BN-ReLU-Deconv), ``"cbr"`` (Conv-BN, with
        a ReLU between layers), ``"conv"``, ``"max_pool"`` or ``"identity"``.
    layers
        (De)convolutions in the transition. Two in ``brc``, ``brd`` and ``cbr`` when
        not given; always one in ``conv`` and none in ``max_pool`` and ``identity``.
    shortcut
        What is added to the transition's result: ``"none"``; ``"identity"``;
        ``"linear"``, a strided linear map of the source; or ``"projection"``, the
        same in the transition's own order: of the source after BN-ReLU in ``brc`` and
        ``brd``, followed by BN in ``cbr``. The map's weight is layer 0's.
    gain
        Factor of the identity shortcut. 1 in the paper; below 1 it is a leak, see
        :attr:`time_constant_steps`.
    steps
        First and last step at which the connection is active; None has no end.
    weights
        ``"shared"`` over time or ``"per-step"``; None takes the graph's.
    tie
        A name shared with other connections whose weights are the same tensors:
        layer ``l`` of all of them is ``name:l``. A tuple names each layer's
        weight itself.
    kernel
        Rows and columns of the kernels, odd; one number, or one for each layer.
    stride
        By default what joins the sizes of the areas, or 1 where they have none.
    stride_layer
        The layer that carries the stride.
    middle
        Channels between the layers; by default the mean of both ends, rounded down.
    """

    source: str
    target: str
    transition: str = "brc"
    layers: int = None  # type: ignore[assignment]  # resolved below, so an int everywhere else
    shortcut: str = "none"
    gain: float = 1.0
    steps: tuple[int, int | None] = (1, None)
    weights: str | None = None
    tie: str | tuple[str, ...] | None = None
    kernel: int | tuple[int, ...] = 3
    stride: int | None = None
    stride_layer: int = 1
    middle: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Settle the number of layers and the window's form, then check."""
        if self.layers is None:
            object.__setattr__(self, "layers", validate.LAYERS.get(self.transition, 0))
        object.__setattr__(self, "steps", validate.window(self.steps, self.name))
        for part in ("tie", "kernel", "middle"):
            if isinstance(getattr(self, part), list):
                object.__setattr__(self, part, tuple(getattr(self, part)))
        validate.check_connection(self)
        object.__setattr__(self, "gain", float(self.gain))

    @property
    def name(self) -> str:
        """``source>target``."""
        return f"{self.source}>{self.target}"

    @property
    def has_map(self) -> bool:
        """Whether the shortcut has a weight, that of layer 0."""
        return self.shortcut in ("linear", "projection")

    def kernel_size(self, layer: int) -> int:
        """Return rows (and columns) of a layer's kernel; 1, 2, ..."""
        return self.kernel if isinstance(self.kernel, int) else self.kernel[layer - 1]

    @property
    def has_identity(self) -> bool:
        """Whether activity passes through unchanged but for the gain."""
        return "identity" in (self.transition, self.shortcut)

    @property
    def time_constant_steps(self) -> float:
        """Steps in which the identity path alone decays to 1/e: ``-1 / ln(gain)``.

        Infinite for a gain of 1 or more, 0 where there is no identity path.
        Times ``ms_per_step`` it is in ms.
        """
        if not self.has_identity:
            return 0.0
        return math.inf if self.gain >= 1 else -1 / math.log(self.gain)

    def active(self, step: int) -> bool:
        """Return whether the connection may fire at a step (1, 2, ...)."""
        first, last = self.steps
        return first <= step and (last is None or step <= last)


@dataclass(frozen=True)
class PreNet:
    """What turns an image into the drive of the first area.

    Parameters
    ----------
    layers
        0: the image itself is the drive; 1: one convolution; 3:
        Conv-BN-ReLU-Conv-BN-ReLU-Conv. The last one carries the stride.
    channels
        Channels between three layers; None takes the first area's.
    kernel
        Rows and columns of the kernels, odd.
    stride
        By default what joins the sizes of image and first area, or 1 where they have none.
    normalize
        Whether BN-ReLU follows the last convolution.
    pool
        Stride of a 3x3 maximum at the end; 1 is none.
    mean, std
        Of pixels from 0 to 1, for each channel: what images are normalized by where a
        network was trained on others than ours; None leaves them as they come.
    """

    layers: int = 1
    channels: int | None = None
    kernel: int = 3
    stride: int | None = None
    normalize: bool = False
    pool: int = 1
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Make sequences tuples, and check."""
        for part in ("mean", "std"):
            if isinstance(getattr(self, part), list):
                object.__setattr__(self, part, tuple(getattr(self, part)))
        validate.check_pre_net(self)
