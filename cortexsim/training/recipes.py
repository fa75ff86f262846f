"""How to train: the paper's recipe to the letter, and a fast one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import SimulationError, unknown


@dataclass(frozen=True)
class Recipe:
    """Everything about training that does not depend on network or data.

    Attributes
    ----------
    epochs, batch_size
        Defaults, which a user may change.
    learning_rate, highest
        From progress (0 to 1) to the rate, and the highest one.
    momentum, nesterov, weight_decay
        Of stochastic gradient descent.
    decay_all
        Whether weight decay also pulls biases and the scale and shift of the post-net.
    label_smoothing
        Of the cross-entropy.
    readouts
        The loss is averaged over so many consecutive readout times, the last
        of which is the graph's.
    lower_precision
        Whether to compute in bf16 where the processor has it.
    pad_with_mean
        Whether crops of a padded image show the training images' mean colour outside of
        it, where the data set has one; otherwise the data set's own background.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: Callable[[float], float]
    highest: float
    momentum: float
    nesterov: bool
    weight_decay: float
    decay_all: bool
    label_smoothing: float
    readouts: int
    lower_precision: bool
    pad_with_mean: bool

    def course(self, highest: float | None = None) -> Callable[[float], float]:
        """Return the learning rate by progress, scaled so that its highest value is this."""
        if highest is None:
            return self.learning_rate
        factor = highest / self.highest
        return lambda progress: factor * self.learning_rate(progress)


def _steps_of_paper(progress: float) -> float:
    # 0.01 for 40 of 60 epochs, 0.001 to epoch 50, 0.0001 to the end; in
    # proportion for another number of epochs
    return 0.01 if progress < 40 / 60 else 0.001 if progress < 50 / 60 else 0.0001


def _one_cycle(progress: float, peak: float = 0.1, warm_up: float = 0.15) -> float:
    if progress < warm_up:
        return peak * (0.1 + 0.9 * progress / warm_up)
    wave = (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
    return peak * (0.001 + 0.999 * wave)


RECIPES = {
    # Liao & Poggio 2016, section 5.1. They do not state a weight decay; 1e-4 is
    # He et al. 2015, whose augmentation they use: they subtract the mean, then pad with 0.
    "paper": Recipe("paper", epochs=60, batch_size=64, learning_rate=_steps_of_paper, highest=0.01,
                    momentum=0.9, nesterov=False, weight_decay=1e-4, decay_all=True,
                    label_smoothing=0.0, readouts=1, lower_precision=False, pad_with_mean=True),
    # Consecutive readouts: losses at every second one leave the others worse.
    "fast": Recipe("fast", epochs=24, batch_size=128, learning_rate=_one_cycle, highest=0.1,
                   momentum=0.9, nesterov=True, weight_decay=5e-4, decay_all=False,
                   label_smoothing=0.1, readouts=3, lower_precision=True, pad_with_mean=False),
}


def get(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises
    ------
    SimulationError
        If there is none of that name.
    """
    if name not in RECIPES:
        raise SimulationError(unknown("recipe", name, RECIPES))
    return RECIPES[name]
