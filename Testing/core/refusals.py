"""What every refusal of a model file owes its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from GDLACore.errors import ModelFileError


def refusal(path: Path, load: Callable[[Path], object]) -> str:
    """Return the message with which ``load`` refuses ``path``.

    It is one line that names the file, and a hint says what to do.
    """
    with pytest.raises(ModelFileError) as caught:
        load(path)
    message, hint = caught.value.message, caught.value.hint
    assert str(path) in message
    assert message.endswith(".") and "\n" not in message and len(message) < 400 + len(str(path))
    assert hint.endswith(".") and "\n" not in hint
    return message
