"""What client and worker hand each other as files: volumes one way, labels the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.worker.array_file import write_array
from GDLACore.worker.messages import (
    CorrectedSlices,
    ModelRequest,
    Preview,
    Segment,
    VolumeFile,
)
from GDLACore.worker.session_folder import SessionFolder

GoOn = Callable[[int, int], bool]


class SessionFiles:
    """The files of one client, in its ``session`` folder; for a single thread.

    A volume that came with a key stays until another one comes or it is disowned, so that it can be
    asked about again without being written again.
    """

    def __init__(self, session: SessionFolder) -> None:
        self._session = session
        self._folder: Path | None = None
        self._volume: Path | None = None
        self._key: Hashable = None

    def segment_request(
        self,
        number: int,
        volume: Volume,
        model: ModelRequest,
        options: SegmentOptions,
        corrections: Mapping[int, np.ndarray],
        key: Hashable,
        go_on: GoOn,
    ) -> Segment:
        """Return the request, with all that it needs written, and the last one's files removed.

        ``go_on`` and errors: see ``write_array``.
        """
        self._remove_results()
        file = self._written(number, volume, key, go_on)
        labels, cleaned, confidence, corrected = (
            Path(file.array).with_name(f"{name}.npy")
            for name in (
                *(f"labels-{number}", f"labels-{number}-cleaned"),
                *(f"confidence-{number}", f"corrections-{number}"),
            )
        )
        slices = None
        if corrections:
            write_array(corrected, np.stack(list(corrections.values())))
            slices = CorrectedSlices(str(corrected), tuple(corrections))
        return Segment(
            number, model, file, options, slices, str(labels), str(cleaned), str(confidence)
        )

    def preview_request(
        self,
        number: int,
        volume: Volume,
        model: ModelRequest,
        indices: Sequence[int],
        borders: str,
        key: Hashable,
        go_on: GoOn,
    ) -> Preview:
        """Return the request, with the volume written.

        ``go_on`` and errors: see ``write_array``.
        """
        file = self._written(number, volume, key, go_on)
        return Preview(number, model, file, tuple(indices), borders)

    def end_request(self) -> None:
        """Remove the results, and the volume unless it has a key.

        Labels that somebody has mapped stay readable: their room is given back when nobody has, or
        the system refuses to remove them, and they go with the next request.
        """
        self._remove_results()
        if self._key is None:
            self.forget_volume()

    def disown_volume(self) -> None:
        """Let the volume go with its request, or with ``end_request``, whatever key it has."""
        self._key = None

    def forget_volume(self) -> None:
        """Remove the volume."""
        if self._volume is not None:
            _remove(self._volume)
        self._volume = self._key = None

    def _written(self, number: int, volume: Volume, key: Hashable, go_on: GoOn) -> VolumeFile:
        folder = self._folder = self._session.path
        if not self._is_there(folder, key):
            self.forget_volume()
            # Also what could not be removed before: Windows keeps a file that the worker reads.
            for old in folder.glob("volume-*.npy"):
                _remove(old)
            # Its name is new each time: the worker knows by it that the voxels are.
            path = folder / f"volume-{number}.npy"
            write_array(path, volume.array, go_on)
            self._volume, self._key = path, key
        matrix = tuple(volume.ijk_to_ras.ravel().tolist())
        return VolumeFile(str(self._volume), matrix, volume.name, volume.modality)

    def _remove_results(self) -> None:
        if self._folder is None:
            return
        with suppress(OSError):  # while the client is being closed, there may be no folder
            for kind in "labels", "confidence", "corrections":
                for old in self._folder.glob(f"{kind}-*.npy"):
                    _remove(old)

    def _is_there(self, folder: Path, key: Hashable) -> bool:
        """Return whether the file is that of the volume with ``key``, and nobody removed it."""
        return (
            key is not None
            and self._volume is not None
            and key == self._key
            and self._volume.parent == folder
            and self._volume.exists()
        )


def _remove(path: Path) -> None:
    """Remove the file now; on Windows one that is still open goes with the session folder."""
    with suppress(OSError):
        path.unlink()
