"""Settings as they come back from Slicer's .ini file: everything is a text, or a tuple of them.

In Slicer a value keeps its type until Slicer is started again, so a module must take both. The
tests give it the harder one.
"""

from __future__ import annotations

from pythonqt.binding import QtCore
from pythonqt.classes import overrides

_settings = QtCore.QSettings


def keep_in(folder: str) -> None:
    """Keep the settings in this folder, instead of the user's own."""
    _settings.setDefaultFormat(_settings.IniFormat)
    for scope in (_settings.UserScope, _settings.SystemScope):
        _settings.setPath(_settings.IniFormat, scope, folder)
    QtCore.QCoreApplication.setOrganizationName("NA-MIC")
    QtCore.QCoreApplication.setApplicationName("Slicer")


def _value(settings: QtCore.QSettings, key: str, default: object = None) -> object:
    if not _settings.contains(settings, key):
        return default
    return _text(_settings.value(settings, key))


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return tuple(_text(item) for item in value)
    return value


overrides["QSettings"] = {"value": _value}
