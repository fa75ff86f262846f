"""The rules that areas, connections and a pre-net must keep by themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, unknown
from ..schema import RESERVED

if TYPE_CHECKING:
    from .parts import Area, Connection, PreNet

#: Transitions, with the number of (de)convolutions each has when nothing is said.
LAYERS = {"brc": 2, "brd": 2, "cbr": 2, "conv": 1, "max_pool": 0, "identity": 0}
SHORTCUTS = ("none", "identity", "linear", "projection")
SHARING = ("shared", "per-step")
INPUTS = ("sustained", "onset")
ACTIVATIONS = ("none", "relu")
POST_NETS = ("bn-relu-pool-fc", "pool-fc")

#: Beyond any simulation of vision: 100 s at 10 ms a step.
MAX_STEPS = 10_000
#: Beyond any network of ours; more is a slip of the pen, and could take any memory and time.
MAX_CHANNELS, MAX_SIZE, MAX_KERNEL, MAX_LAYERS = 65_536, 16_384, 255, 100
MAX_AREAS, MAX_CONNECTIONS = 100, 1_000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# a protocol's `record: {areas: all}` could not be told from an area of that name
_TAKEN = RESERVED | {"all"}


class InvalidPartError(GraphError):
    """A broken rule, with the key of the part at fault so that YAML can give its line."""

    def __init__(self, message: str, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.key = key


def check_known(name: object, names: Iterable[str]) -> None:
    """Raise GraphError if no area has this name."""
    names = list(names)
    if name not in names:
        raise GraphError(unknown("area", name, names))


def check_count(what: str, count: int, most: int) -> None:
    """Raise InvalidPartError if there are more areas, or connections, than there may be."""
    if count > most:
        raise InvalidPartError(f"{count:,} {what} are given, and {most:,} is the most", (what,))


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_name(value: Any) -> bool:
    """Return whether a value can be a name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _option(kind: str, given: object, allowed: Iterable[object]) -> None:
    allowed = list(allowed)
    if given not in allowed:
        raise InvalidPartError(unknown(kind, given, allowed))


def check_area(area: Area) -> None:
    """Check an area's name and shape."""
    if not is_name(area.name):
        raise InvalidPartError(
            f"area '{area.name}': a name begins with a letter and goes on with "
            "letters, digits, '_' or '-'"
        )
    if area.name.lower() in _TAKEN:
        raise InvalidPartError(
            f"area '{area.name}': this name is used by recordings; choose another"
        )
    shape = [area.channels, area.height, area.width]
    shape = shape[:1] if shape[1:] == [None, None] else shape
    if not all(is_count(size) for size in shape):
        raise InvalidPartError(
            f"area '{area.name}': channels, height and width must be whole numbers "
            f"of 1 or more, got {shape}"
        )
    if area.channels > MAX_CHANNELS or max(area.height or 0, area.width or 0) > MAX_SIZE:
        raise InvalidPartError(
            f"area '{area.name}': an area has {MAX_CHANNELS:,} channels and {MAX_SIZE:,} rows and "
            f"columns at most, got {shape}")
    _option(f"activation of area '{area.name}'", area.activation, ACTIVATIONS)


def window(steps: Any, name: str) -> tuple[int, int | None]:
    """Bring a window into the form (first, last or None); infinity and 'inf' are None."""
    if not isinstance(steps, Sequence) or isinstance(steps, str) or len(steps) != 2:
        raise InvalidPartError(
            f"{name}: steps must be the first and the last step, as in [1, inf], got {steps!r}"
        )
    first, last = steps
    if last is None or last in ("inf", math.inf):
        last = None
    if not is_count(first) or (last is not None and (not is_count(last) or last < first)):
        raise InvalidPartError(
            f"{name}: steps must be whole numbers, the first 1 or more and the last not "
            f"before it, got [{first}, {'inf' if last is None else last}]"
        )
    if max(first, last or 0) > MAX_STEPS:
        raise InvalidPartError(f"{name}: steps end at {MAX_STEPS} at the latest, or at inf")
    return first, last


def _at_most(name: str, what: str, values: Iterable[int | None], most: int) -> None:
    for value in values:
        if value is not None and value > most:
            raise InvalidPartError(f"{name}: {what} is {most:,} at most, got {value:,}")


def check_connection(connection: Connection) -> None:
    """Check what can be said of a connection without its areas."""
    name = connection.name
    _option(f"transition of {name}", connection.transition, LAYERS)
    _option(f"shortcut of {name}", connection.shortcut, SHORTCUTS)
    if connection.weights is not None:
        _option(f"weights of {name}", connection.weights, SHARING)
    usual = LAYERS[connection.transition]
    if usual == 2 and not is_count(connection.layers):
        raise InvalidPartError(f"{name}: layers must be 1 or more, got {connection.layers}")
    _at_most(name, "the number of layers", [connection.layers], MAX_LAYERS)
    if usual < 2 and connection.layers != usual:
        raise InvalidPartError(
            f"{name}: '{connection.transition}' always has {usual} layers, not "
            f"{connection.layers}; leave 'layers' out"
        )
    if connection.transition == connection.shortcut == "identity":
        raise InvalidPartError(
            f"{name}: an identity transition with an identity shortcut adds the source "
            "twice; leave the shortcut out"
        )
    if connection.shortcut == "projection" and usual < 2:
        raise InvalidPartError(
            f"{name}: a projection takes the normalization of 'brc', 'brd' or 'cbr', and "
            f"'{connection.transition}' has none; use 'linear'"
        )
    _check_gain(connection)
    _check_tie(connection)
    _check_kernels(connection)


def _check_kernels(connection: Connection) -> None:
    name, layers, kernel = connection.name, connection.layers, connection.kernel
    kernels = kernel if isinstance(kernel, tuple) else (kernel,)
    if not all(is_count(size) and size % 2 for size in kernels):
        raise InvalidPartError(f"{name}: a kernel must be odd, as 3 or [1, 3, 1], got {kernel}")
    _at_most(name, "a kernel", kernels, MAX_KERNEL)
    if isinstance(kernel, tuple) and len(kernel) != layers:
        raise InvalidPartError(f"{name}: {len(kernel)} kernels for {layers} layers")
    if not layers and kernel != 3:
        raise InvalidPartError(f"{name}: kernel {kernel} has nothing to act on, "
                               f"'{connection.transition}' has no convolutions; leave it out")
    if connection.stride is not None and not is_count(connection.stride):
        raise InvalidPartError(f"{name}: stride must be 1 or more, got {connection.stride!r}")
    _at_most(name, "a stride", [connection.stride], MAX_SIZE)
    if connection.stride_layer not in range(1, max(layers, 1) + 1):
        raise InvalidPartError(
            f"{name}: stride_layer {connection.stride_layer!r} of {layers} layers")
    if connection.has_identity and (connection.stride or 1) > 1:
        raise InvalidPartError(f"{name}: with an identity the size stays, so stride cannot be "
                               f"{connection.stride}")
    middle = connection.middle
    if middle is None:
        return
    if not isinstance(middle, tuple) or not all(map(is_count, middle)):
        raise InvalidPartError(f"{name}: middle must be channels of 1 or more, got {middle!r}")
    _at_most(name, "the number of channels", middle, MAX_CHANNELS)
    if len(middle) != layers - 1:
        raise InvalidPartError(f"{name}: middle must name the channels between each of its "
                               f"{layers} layers, {layers - 1} numbers, got {len(middle)}")


def _check_gain(connection: Connection) -> None:
    name, gain = connection.name, connection.gain
    if isinstance(gain, bool) or not isinstance(gain, int | float):
        raise InvalidPartError(f"{name}: gain must be a number, got {gain!r}")
    if not math.isfinite(gain) or gain <= 0:
        raise InvalidPartError(f"{name}: gain must be finite and above 0, got {gain}")
    if gain != 1 and connection.shortcut != "identity":
        raise InvalidPartError(
            f"{name}: gain {gain} has nothing to act on; it belongs to an identity shortcut"
        )


def _check_tie(connection: Connection) -> None:
    name, tie = connection.name, connection.tie
    if tie is None:
        return
    for word in tie if isinstance(tie, tuple) else (tie,):
        if not is_name(word):
            raise InvalidPartError(
                f"{name}: the name of a tie begins with a letter and goes on with letters, "
                f"digits, '_' or '-', got {word!r}"
            )
    if not connection.layers and not connection.has_map:
        raise InvalidPartError(f"{name}: '{connection.transition}' has no weights to tie")
    if isinstance(tie, tuple) and len(tie) != connection.layers:
        raise InvalidPartError(
            f"{name}: tie must name each of its {connection.layers} layers, got {len(tie)} names"
        )


def check_pre_net(pre_net: PreNet) -> None:
    """Check the pre-net's layers and channels."""
    if isinstance(pre_net.layers, bool) or pre_net.layers not in (0, 1, 3):
        raise InvalidPartError(f"pre_net: layers must be 0, 1 or 3, got {pre_net.layers!r}")
    if pre_net.channels is not None and not is_count(pre_net.channels):
        raise InvalidPartError(f"pre_net: channels must be 1 or more, got {pre_net.channels!r}")
    if pre_net.channels is not None and pre_net.layers != 3:
        raise InvalidPartError(
            "pre_net: channels are those between its layers; they need 'layers: 3'"
        )
    if not is_count(pre_net.kernel) or pre_net.kernel % 2 == 0:
        raise InvalidPartError(f"pre_net: kernel must be odd, got {pre_net.kernel!r}")
    for key, most in (("kernel", MAX_KERNEL), ("channels", MAX_CHANNELS), ("stride", MAX_SIZE),
                      ("pool", MAX_SIZE)):
        value = getattr(pre_net, key)
        if is_count(value):
            _at_most("pre_net", key, [value], most)
    for key in ("stride", "pool"):
        value = getattr(pre_net, key)
        if value is not None and not is_count(value):
            raise InvalidPartError(f"pre_net: {key} must be 1 or more, got {value!r}")
    convolved = (pre_net.kernel, pre_net.stride, pre_net.normalize, pre_net.pool)
    if not pre_net.layers and convolved != (3, None, False, 1):
        raise InvalidPartError("pre_net: without layers the image is the drive as it is")
    if (pre_net.mean is None) != (pre_net.std is None):
        raise InvalidPartError("pre_net: give both mean and std, or neither")
    numbers = [*(pre_net.mean or ()), *(pre_net.std or ())]
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers) or any(
        x <= 0 for x in pre_net.std or ()
    ):
        raise InvalidPartError("pre_net: mean and std must be numbers, one for each channel of "
                               "the image, and std above 0")
