"""Learning from one batch after another: scores, loss, gradients, and a change of weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import devices, processes
from ..models.frames import Frames
from ..models.network import Network
from .recipes import Recipe

#: Returns the scores of some frames at some readout times.
Scores = Callable[[Frames, list[int]], dict[int, Tensor]]


class Learner:
    """A network that learns, by itself or, of each batch a part, with other processes.

    Each of several processes (``network.processes``) has some rows of the batch. Its loss
    counts as much as these are of the batch, and gradients are added up, so that weights
    change as if one process had all rows.

    Parameters
    ----------
    network
        Where it is to be trained; in its memory format.
    recipe
        The optimizer and the loss.
    precision
        ``"float32"`` or ``"bf16"``.
    compiled
        Whether to compile the network.
    restored
        Momentum by the parameter's name, to go on with.
    """

    def __init__(self, network: Network, recipe: Recipe, *, precision: str = "float32",
                 compiled: bool = False, restored: dict[str, Tensor] | None = None) -> None:
        self.network, self.recipe, self.precision = network, recipe, precision
        self.optimizer = _optimizer(network, recipe, restored or {})
        self._device = next(network.parameters()).device
        self._scores = _compiled(network) if compiled else network.scores
        if network.processes.count > 1:
            self._scores = _distributed(network, self._scores)

    def step(self, frames: Frames, asked: dict[int, Tensor], rate: float,
             batch: int | None = None) -> tuple[float, int]:
        """Take one step down the gradient.

        Parameters
        ----------
        frames
            What is shown, of the batch this process's own rows.
        asked
            Readout time to the right classes, shape (rows,).
        rate
            The learning rate.
        batch
            Rows of the whole batch, by default `frames`' own.

        Returns
        -------
        tuple
            This process's part of the loss, the whole of which is a mean over the batch, and
            the number of rows that are named correctly at the last time.
        """
        times = list(asked)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with processes.reaching():
            with devices.autocast(self._device, self.precision):
                scores = self._scores(frames, times)
            losses = [F.cross_entropy(_wide(scores[t]), y,
                                      label_smoothing=self.recipe.label_smoothing)
                      for t, y in asked.items()]
            loss = torch.stack(losses).mean()
            self.optimizer.zero_grad(set_to_none=True)
            rows = len(asked[times[-1]])
            share = rows / (batch or rows)
            # gradients are averaged over processes, but are parts of a sum
            torch.autograd.backward(loss * (share * self.network.processes.count))
        self.optimizer.step()
        correct = int((scores[times[-1]].argmax(1) == asked[times[-1]]).sum())
        return loss.item() * share, correct

    def momentum(self) -> dict[str, Tensor]:
        """Return the momentum of each parameter that has one, by name."""
        state = self.optimizer.state
        return {name: state[p]["momentum_buffer"]
                for name, p in self.network.named_parameters() if p in state}


class _Scores(nn.Module):
    """A network's scores as what a module returns."""

    def __init__(self, network: Network, scores: Scores) -> None:
        super().__init__()
        self.network, self.scores = network, scores

    def forward(self, frames: Frames, times: list[int]) -> dict[int, Tensor]:
        return self.scores(frames, times)


def _distributed(network: Network, scores: Scores) -> Scores:
    """Have gradients averaged over processes, of the parameters that have one."""
    with processes.reaching(), warnings.catch_warnings():
        # older versions of torch have no other name for it
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        # a static graph: which parameters are used, and how often, is the same in each batch
        return nn.parallel.DistributedDataParallel(
            _Scores(network, scores), broadcast_buffers=False, static_graph=True)


def _wide(scores: Tensor) -> Tensor:
    return scores if scores.dtype == torch.float64 else scores.float()


def _compiled(network: Network) -> Scores:
    scores = torch.compile(network.scores)

    def quiet(frames: Any, times: list[int]) -> dict[int, Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler talks about its own ways
            return scores(frames, times)

    return quiet


def _optimizer(network: nn.Module, recipe: Recipe,
               restored: dict[str, Tensor]) -> torch.optim.SGD:
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in network.parameters():
        (decayed if recipe.decay_all or parameter.ndim > 1 else free).append(parameter)
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay},
         {"params": free, "weight_decay": 0.0}],
        lr=0.1, momentum=recipe.momentum, nesterov=recipe.nesterov)
    for name, parameter in network.named_parameters():
        if name in restored:
            momentum = restored[name].to(parameter.device)
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(
                momentum)
    return optimizer
