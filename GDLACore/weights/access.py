"""What every reader of weights says alike: that a file is not there, and what to do instead."""

from __future__ import annotations

from pathlib import Path

from GDLACore.errors import ModelFileError

AGAIN = "Copy or download the file again."
NOT_OURS = "Choose a PVT-GDLA checkpoint: a .ckpt, .pth or .safetensors file."
NO_CODE = "Ask the author for a file with the weights alone."


def check_readable(path: Path) -> None:
    """Raise ModelFileError if ``path`` is missing, empty, a folder or may not be read."""
    try:
        with path.open("rb") as file:
            start = file.read(1)
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist.", "Check the path.") from None
    except (IsADirectoryError, PermissionError) as error:
        if path.is_dir():
            raise ModelFileError(
                f"{path} is a folder, not a model.", "Name the file in it."
            ) from None
        raise ModelFileError(f"{path} may not be read.", "Check its permissions.") from error
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    if not start:
        raise ModelFileError(f"{path} is empty.", AGAIN)


def printable(name: object) -> str:
    """Return a name out of a file in a form that suits one line of a message."""
    text = repr(name) if isinstance(name, (str, int)) else "an entry without a name"
    return text if len(text) <= 80 else f"{text[:76]}...'"
