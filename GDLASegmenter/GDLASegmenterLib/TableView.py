"""Where tables are seen: in a layout with a table view."""

from __future__ import annotations

import slicer


def showTable(tableNode) -> None:
    """Show the table, if Slicer has a window to show it in."""
    applicationLogic = slicer.app.applicationLogic()
    applicationLogic.GetSelectionNode().SetActiveTableID(tableNode.GetID())
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        layout = slicer.modules.tables.logic().GetLayoutWithTable(layoutManager.layout)
        layoutManager.setLayout(layout)
        applicationLogic.PropagateTableSelection()
