"""The YAML (or JSON) files a training is described in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from GDLACore.errors import TrainingError


def read_settings(path: Path, required: set[str], optional: set[str]) -> dict[str, Any]:
    """Return the mapping in ``path``.

    Raises TrainingError if the file cannot be read, is no mapping, lacks a ``required`` field or
    has one that is neither required nor ``optional``.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is not valid YAML or JSON: {error}") from error
    return check_fields(data, str(path), required, optional)


def check_fields(data: Any, where: str, required: set[str], optional: set[str]) -> dict[str, Any]:
    """Return ``data`` if it is a mapping with the right fields; raise TrainingError if not."""
    if not isinstance(data, dict):
        raise TrainingError(
            f"{where} must hold named fields: {', '.join(sorted(required or optional))}."
        )
    if missing := required - data.keys():
        raise TrainingError(f"{where} lacks the field {', '.join(sorted(missing))}.")
    if strange := set(map(str, data)) - required - optional:
        raise TrainingError(
            f"{where} has the unknown field {', '.join(sorted(strange))}.",
            f"Known fields are {', '.join(sorted(required | optional))}.",
        )
    return data
