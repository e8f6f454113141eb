"""What the worker knows of the volume that it was asked about last."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from GDLACore.imaging.intensity import Normaliser
from GDLACore.imaging.view import SliceView
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.pipeline import PreparedVolume, prepare
from GDLACore.worker.array_file import map_array
from GDLACore.worker.messages import VolumeFile
from GDLACore.worker.warning_messages import warnings_told


class WarmVolume:
    """Prepares a volume when it is another than the last one, or for another card.

    Only what was found out is kept, and not the voxels: a file that stays open takes its room on
    the disk for as long, whoever removes it.

    ``warnings`` is what was to be said of the volume.
    """

    def __init__(self) -> None:
        self.warnings: tuple[str, ...] = ()
        self._identity: tuple[VolumeFile, ModelCard] | None = None
        self._view: SliceView | None = None
        self._normalise: Normaliser | None = None

    def is_ready(self, file: VolumeFile, card: ModelCard) -> bool:
        """Return whether ``prepared`` will have nothing to compute, and nothing to warn of."""
        return self._identity == (file, card)

    def prepared(self, file: VolumeFile, card: ModelCard) -> PreparedVolume:
        """Return the volume in ``file``, ready for ``card``'s model.

        Raises VolumeError if it does not suit the model, WorkerError if it cannot be read.
        """
        matrix = np.reshape(file.ijk_to_ras, (4, 4))
        volume = Volume(map_array(Path(file.array)), matrix, file.name, file.modality)
        if not self.is_ready(file, card):
            self._identity = None
            warnings: list[str] = []
            with warnings_told(warnings.append):
                prepared = prepare(volume, card)
            self.warnings = tuple(warnings)
            self._view, self._normalise = prepared.view, prepared.normalise
            self._identity = file, card
        return PreparedVolume(volume, card, self._view, self._normalise)
