"""Stand-ins for the widgets of CTK and Slicer that a module's panel uses.

``install()`` puts them where a module finds them: ``ctk.ctkSliderWidget``,
``slicer.qMRMLNodeComboBox``. Their members are those of the headers. What they do is ours, written
from CTK's and Slicer's sources; how they look is only similar.
"""

from __future__ import annotations

import slicer
from pythonqt import ctk
from pythonqt.declared import declared

from slicer_widgets import (  # noqa: F401  each declares its classes
    buttons,
    collapsible_button,
    message_box,
    node_combo_box,
    numbers,
    path_line_edit,
    scene_widgets,
    segment_editor,
    segment_editor_effect,
    segments_table,
    show_3d_button,
)


def install() -> None:
    for name, cls in declared.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, cls)
    segment_editor_effect.install()
