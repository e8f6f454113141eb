"""A whole CT on the device: int16 slices go there once, uint8 labels come back once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.model.card import ModelCard


class DevicePipeline:
    """Window, resampling, network, largest class and its way back, all on ``device``.

    ``run`` maps images [batch, 1, s, s] of ``dtype`` to logits, always ``batch`` of them.
    Labels go back by nearest neighbour, as published.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Tensor],
        card: ModelCard,
        shape: tuple[int, int, int],
        *,
        batch: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        if card.in_channels != 1 or card.intensity.lower is None:
            raise ValueError(f"{card.name} is no model for CT")
        self._run, self._card, self._batch, self._dtype = run, card, batch, dtype
        pinned = device == "cuda"
        plan = slice_resampling("spline3", shape[1:], card.input_size)
        self._rows, self._columns = (
            torch.tensor(matrix, dtype=torch.float32, device=device)
            for matrix in (plan.rows, plan.columns)
        )
        # Where the published way finds nothing to enlarge (-1), a row of background stands.
        self._row_of, self._column_of = (
            torch.tensor(np.where(index < 0, card.input_size, index), device=device)
            for index in plan.nearest_out
        )
        self._host_in = torch.empty(shape, dtype=torch.int16, pin_memory=pinned)
        self._host_out = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        # Room for whole batches: what is beyond the last slice is computed and left there.
        room = (-(-shape[0] // batch) * batch, *shape[1:])
        self._slices = torch.zeros(room, dtype=torch.int16, device=device)
        self._labels = torch.empty(room, dtype=torch.uint8, device=device)

    @torch.inference_mode()
    def __call__(self, slices: np.ndarray) -> np.ndarray:
        """Return labels [n, h, w], uint8, of ``slices`` [n, h, w], int16, in HU.

        They are overwritten by the next call.
        """
        count = len(slices)
        self._host_in.copy_(torch.from_numpy(slices))
        self._slices[:count].copy_(self._host_in, non_blocking=True)
        for start in range(0, count, self._batch):
            part = slice(start, start + self._batch)
            logits = self._run(self._images(self._slices[part]))
            self._labels[part] = self._native(logits.max(dim=1).indices.to(torch.uint8))
        self._host_out.copy_(self._labels[:count])
        return self._host_out.numpy()

    def _images(self, slices: Tensor) -> Tensor:
        lower, upper = self._card.intensity.lower, self._card.intensity.upper
        values = (slices.float().clamp_(lower, upper) - lower) / (upper - lower)
        images = self._rows @ values @ self._columns.T
        return images[:, None].to(self._dtype)

    def _native(self, labels: Tensor) -> Tensor:
        labels = torch.nn.functional.pad(labels, (0, 1, 0, 1))
        return labels[:, self._row_of][:, :, self._column_of]
