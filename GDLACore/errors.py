"""Every failure a user can cause, as one sentence about what is wrong and one about what to do."""

from __future__ import annotations


class GDLAError(Exception):
    """Base of all errors shown to users.

    ``message`` says what is wrong and with which file or node; ``hint`` says what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class VolumeError(GDLAError):
    """An image cannot be read or does not suit the model."""


class ModelFileError(GDLAError):
    """A checkpoint, model card or catalogue entry cannot be used."""


class OutputError(GDLAError):
    """A result cannot be written where the user asked."""


class DownloadError(GDLAError):
    """A model could not be fetched or its checksum is wrong."""


class DeviceError(GDLAError):
    """The requested processor or GPU cannot be used."""


class EngineError(GDLAError):
    """The network could not be run."""


class ServerError(GDLAError):
    """A server cannot be reached, or does not give what it was asked for."""


class WorkerError(GDLAError):
    """The background process failed."""


class InstallationError(GDLAError):
    """What runs the networks could not be installed or removed."""


class TrainingError(GDLAError):
    """A data set or a training set-up cannot be used."""


class EvaluationError(GDLAError):
    """Segmentations cannot be scored."""


class Cancelled(GDLAError):
    """The user stopped the computation."""
