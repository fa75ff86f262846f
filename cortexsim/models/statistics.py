"""The statistics of normalization: a mean and a variance per place and time, or per place.

A *site* is a place where activity is normalized. Three kinds exist:

- an area (``"V1"``), indexed by the index ``t`` at which the area is read.
  All connections that leave the area, and the post-net, share these numbers;
- a later layer of a connection (``"V1>V2:2"``), indexed by the step ``s``;
- a layer of the pre-net (``"pre_net:2"``), which has no time and uses index 0.

In training, the statistics of the batch are used. Otherwise those of
calibration (:mod:`cortexsim.models.calibration`); NaN marks an index that has
none. Shared statistics are those of index 0 alone, and hold for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import CheckpointError

EPSILON = 1e-5  # torch's and He et al.'s
_PREFIX = "at "  # so that an area may bear any name, also that of a module's attribute


class Statistics(nn.Module):
    """Means and variances of every site at every index.

    Attributes
    ----------
    beyond
        What happens at an index without statistics: ``"error"``, or
        ``"last"`` to use the nearest earlier ones.
    shared
        Whether the first index stands for all.
    """

    def __init__(self, channels: dict[str, int], shared: bool = False) -> None:
        super().__init__()
        self.beyond, self.shared = "error", shared
        self._known: dict[str, list[bool]] = {}
        for site, count in channels.items():
            # (2, indices, channels): means, then variances
            self.register_buffer(_PREFIX + site, torch.full((2, 0, count), torch.nan))

    def table(self, site: str) -> Tensor:
        """Return means and variances of a site, shape (2, indices, channels)."""
        return self.get_buffer(_PREFIX + site)

    def put(self, site: str, index: int, mean: Tensor, variance: Tensor) -> None:
        """Set the statistics of a site at an index, each of shape (channels,)."""
        table = self.table(site)
        if index >= table.shape[1]:
            longer = table.new_full((2, index + 1, table.shape[2]), torch.nan)
            longer[:, : table.shape[1]] = table
            table = longer
        table[0, index] = mean.to(table)
        table[1, index] = variance.to(table)
        self._set(site, table)

    def forget(self) -> None:
        """Drop all statistics, for instance because the weights have changed."""
        for name, table in list(self.named_buffers()):
            self._set(name.removeprefix(_PREFIX), table[:, :0])

    def share(self, used: Mapping[str, Sequence[int]]) -> None:
        """Average means and variances over indices, and let them hold for all.

        Parameters
        ----------
        used
            Site to the indices to average over. One that is not named, or has none of
            these, keeps its first.
        """
        for name, table in list(self.named_buffers()):
            site = name.removeprefix(_PREFIX)
            known = [i for i, yes in enumerate(self.known(site)) if yes]
            chosen = [i for i in known if i in used.get(site, ())] or known[:1]
            self._set(site, table[:, chosen].double().mean(1, keepdim=True).to(table)
                      if chosen else table[:, :0])
        self.shared = True

    def _set(self, site: str, table: Tensor) -> None:
        self._buffers[_PREFIX + site] = table
        self._known.pop(site, None)

    def known(self, site: str) -> list[bool]:
        """Say for each index whether the site has statistics there."""
        if site not in self._known:
            # kept in Python, so that asking never waits for a GPU
            self._known[site] = torch.isfinite(self.table(site)).all(2).all(0).tolist()
        return self._known[site]

    def has(self, site: str, index: int, beyond: str = "error") -> bool:
        """Say whether :meth:`scale_shift` can answer, with this rule for what lies beyond."""
        return self._nearest(site, index, beyond) is not None

    def limit(self, site: str) -> float:
        """Return the last index at which a site has statistics, -1 for none.

        Infinite if they are shared.
        """
        last = max((i for i, yes in enumerate(self.known(site)) if yes), default=-1)
        return math.inf if self.shared and last >= 0 else last

    def _nearest(self, site: str, index: int, beyond: str) -> int | None:
        """Return the index whose statistics hold at another."""
        known = self.known(site)
        at = 0 if self.shared else index
        if beyond == "last":
            at = min(at, len(known) - 1)
            while at >= 0 and not known[at]:
                at -= 1
        return at if 0 <= at < len(known) and known[at] else None

    def scale_shift(self, site: str, index: int) -> tuple[Tensor, Tensor]:
        """Return the normalization ``x * scale + shift``, each of shape (channels,).

        Raises
        ------
        CheckpointError
            As :meth:`moments`.
        """
        mean, variance = self.moments(site, index)
        scale = torch.rsqrt(variance + EPSILON)
        return scale, -mean * scale

    def moments(self, site: str, index: int) -> Tensor:
        """Return mean and variance, shape (2, channels).

        Raises
        ------
        CheckpointError
            If the site has no statistics at that index (with ``beyond``
            ``"error"``) or none at any earlier one.
        """
        at = self._nearest(site, index, self.beyond)
        if at is None:
            last = self.limit(site)
            have = "none at all" if last < 0 else f"up to {last:g}"
            raise CheckpointError(
                f"no normalization statistics for {site} at index {index} (there are {have}): "
                "calibrate the network for that time, or ask for the last ones (beyond='last')"
            )
        return self.table(site)[:, at]

    def resize_as(self, tensors: dict[str, Tensor]) -> None:
        """Give every site as many indices as the tensors of a file have."""
        for name, table in list(self.named_buffers()):
            if name in tensors and tensors[name].shape[::2] == table.shape[::2]:
                self._set(name.removeprefix(_PREFIX), torch.full_like(tensors[name], torch.nan))

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._known.clear()
