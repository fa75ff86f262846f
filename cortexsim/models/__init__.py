"""Networks: the weights of an area graph, the step that runs it, files that hold it."""

from .calibration import calibrate, statistics_used
from .checkpoint import Loaded, load, save
from .derive import unshare, with_statistics
from .folding import fold
from .network import Network
from .resnet import PreActResNet
from .unrolling import unroll
from .weights import parameter_count

__all__ = ["Loaded", "Network", "PreActResNet", "calibrate", "fold", "load", "parameter_count",
           "save", "statistics_used", "unroll", "unshare", "with_statistics"]
