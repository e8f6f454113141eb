"""Slicer's Sample Data module: what other modules register is a button with a thumbnail."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

_THUMBNAIL = (192, 128)  # what Slicer takes with toolbar icons of 32 pixels


class SampleDataSource:
    """One sample. As in Slicer, one without ``uris`` cannot be made, even if none is downloaded."""

    def __init__(
        self,
        sampleName: str,
        uris: str | list[str] | None = None,
        fileNames: str | list[str] | None = None,
        nodeNames: str | list[str] | None = None,
        customDownloader: Callable[[SampleDataSource], Any] | None = None,
        thumbnailFileName: str | None = None,
    ) -> None:
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName = sampleName
        self.uris, self.fileNames, self.nodeNames = uris, fileNames, nodeNames
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName


class SampleData(ScriptedLoadableModule):
    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = "Sample Data"
        parent.categories = ["Informatics"]
        slicer.modules.sampleDataSources = {}


class SampleDataLogic:
    _titles: dict[str, str] = {}

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        SampleDataLogic._titles[category] = title

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **source: Any) -> None:
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        made = SampleDataSource(**source)
        if not any(vars(one) == vars(made) for one in sources):
            sources.append(made)

    @staticmethod
    def categoryTitle(category: str) -> str:
        return SampleDataLogic._titles.get(category, category)


class SampleDataWidget(ScriptedLoadableModuleWidget):
    """The buttons are made once: what is registered later has none."""

    def setup(self) -> None:
        super().setup()
        for category, sources in slicer.modules.sampleDataSources.items():
            group = qt.QGroupBox(SampleDataLogic.categoryTitle(category))
            layout = qt.QVBoxLayout()
            group.setLayout(layout)
            for source in sources:
                layout.addWidget(_button(source))
            self.layout.addWidget(group)
        self.layout.addStretch(1)


def _button(source: SampleDataSource) -> Any:
    button = qt.QToolButton()
    button.objectName = f"{source.sampleName}PushButton"
    button.text = source.sampleName
    if source.thumbnailFileName and os.path.exists(source.thumbnailFileName):
        button.icon = qt.QIcon(source.thumbnailFileName)
    button.iconSize = qt.QSize(*_THUMBNAIL)
    button.toolButtonStyle = qt.Qt.ToolButtonTextUnderIcon
    button.connect("clicked()", lambda: source.customDownloader(source))
    return button
