"""CTK's widgets for numbers and ranges, and Slicer's over them.

Only what a module can see is here: values within their limits, and the signals in CTK's order.
"""

from __future__ import annotations

import math

from pythonqt import qt
from pythonqt.binding import QtCore
from pythonqt.declared import Behaviour, declare


def _rounded(value: float, decimals: int) -> float:
    return value if math.isinf(value) else round(value, decimals)


class Value(Behaviour):
    """One number between ``minimum`` and ``maximum``, rounded to ``decimals``."""

    initial = {"minimum": 0.0, "maximum": 99.0, "value": 0.0, "singleStep": 1.0, "decimals": 2}

    def start(self) -> None:
        self._box = qt.QDoubleSpinBox(self.widget)
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._show()
        self._box.connect("valueChanged(double)", self.write_value)

    def write_value(self, value: float) -> None:
        value = min(max(value, self.values["minimum"]), self.values["maximum"])
        value = _rounded(value, self.values["decimals"])
        if value != self.values["value"]:
            self.values["value"] = value
            self._show()
            self.changed_value(value)

    def changed_value(self, value: float) -> None:
        self.emit("valueChanged(double)", value)

    def changed_minimum(self, minimum: float) -> None:
        self.values["maximum"] = max(self.values["maximum"], minimum)
        self.write_value(self.values["value"])
        self._show()

    def changed_maximum(self, maximum: float) -> None:
        self.values["minimum"] = min(self.values["minimum"], maximum)
        self.write_value(self.values["value"])
        self._show()

    def changed_decimals(self, decimals: int) -> None:
        self.write_value(self.values["value"])
        self._show()

    def changed_prefix(self, text: str) -> None:
        self._box.setPrefix(text)

    def changed_suffix(self, text: str) -> None:
        self._box.setSuffix(text)

    def setValue(self, value: float) -> None:
        self.write_value(value)

    def _show(self) -> None:
        blocker = QtCore.QSignalBlocker(self._box)
        self._box.setDecimals(self.values.get("decimals", 2))
        self._box.setRange(max(self.values["minimum"], -1e300), min(self.values["maximum"], 1e300))
        self._box.setValue(self.values["value"])
        blocker.unblock()


class Slider(Value):
    """A slider beside the spin box: a hundred positions over the range."""

    def start(self) -> None:
        super().start()
        self._slider = qt.QSlider(QtCore.Qt.Horizontal, self.widget)
        self._slider.setRange(0, 100)
        self.widget.layout().insertWidget(0, self._slider, 1)
        self._slider.connect("valueChanged(int)", self._slid)

    def _slid(self, position: int) -> None:
        low, high = self.values["minimum"], self.values["maximum"]
        self.write_value(low + (high - low) * position / 100)

    def _show(self) -> None:
        super()._show()
        low, high = self.values["minimum"], self.values["maximum"]
        if hasattr(self, "_slider") and 0 < high - low < math.inf:
            blocker = QtCore.QSignalBlocker(self._slider)
            self._slider.setValue(round(100 * (self.values["value"] - low) / (high - low)))
            blocker.unblock()


class SliderWidget(Slider):
    initial = {"tracking": True, "spinBoxVisible": True}

    def changed_decimals(self, decimals: int) -> None:
        super().changed_decimals(decimals)
        self.emit("decimalsChanged(int)", decimals)

    def changed_spinBoxVisible(self, visible: bool) -> None:
        self._box.setVisible(visible)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self.widget.spinBoxVisible = visible

    def setDecimals(self, decimals: int) -> None:
        self.widget.decimals = decimals

    def reset(self) -> None:
        self.write_value(0.0)


class DoubleSlider(Slider):
    initial = {"orientation": int(QtCore.Qt.Horizontal), "tracking": True}


class DoubleSpinBox(Value):
    def changed_value(self, value: float) -> None:
        super().changed_value(value)
        self.emit("valueChanged(QString)", f"{value:.{self.values['decimals']}f}")

    def changed_decimals(self, decimals: int) -> None:
        super().changed_decimals(decimals)
        self.emit("decimalsChanged(int)", decimals)

    def setDecimals(self, decimals: int) -> None:
        self.widget.decimals = decimals


class Range(Behaviour):
    """Two numbers, the lower never above the upper."""

    initial = {"minimum": 0.0, "maximum": 99.0, "minimumValue": 0.0, "maximumValue": 99.0}

    def start(self) -> None:
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self._boxes = [qt.QDoubleSpinBox(self.widget) for _ in range(2)]
        for box in self._boxes:
            layout.addWidget(box)
        self._show()
        self._boxes[0].connect("valueChanged(double)", self.write_minimumValue)
        self._boxes[1].connect("valueChanged(double)", self.write_maximumValue)

    def setRange(self, minimum: float, maximum: float) -> None:
        self.values |= {"minimum": minimum, "maximum": max(minimum, maximum)}
        self.emit("rangeChanged(double,double)", minimum, self.values["maximum"])
        self.setValues(self.values["minimumValue"], self.values["maximumValue"])

    def setValues(self, low: float, high: float) -> None:
        inside = [
            min(max(value, self.values["minimum"]), self.values["maximum"])
            for value in sorted((low, high))
        ]
        before = self.values["minimumValue"], self.values["maximumValue"]
        self.values |= {"minimumValue": inside[0], "maximumValue": inside[1]}
        self._show()
        if inside[0] != before[0]:
            self.emit("minimumValueChanged(double)", inside[0])
        if inside[1] != before[1]:
            self.emit("maximumValueChanged(double)", inside[1])
        if tuple(inside) != before:
            self.emit("valuesChanged(double,double)", *inside)

    def write_minimum(self, value: float) -> None:
        self.setRange(value, self.values["maximum"])

    def write_maximum(self, value: float) -> None:
        self.setRange(min(value, self.values["minimum"]), value)

    def write_minimumValue(self, value: float) -> None:
        self.setValues(min(value, self.values["maximumValue"]), self.values["maximumValue"])

    def write_maximumValue(self, value: float) -> None:
        self.setValues(self.values["minimumValue"], max(value, self.values["minimumValue"]))

    def setMinimumValue(self, value: float) -> None:
        self.write_minimumValue(value)

    def setMaximumValue(self, value: float) -> None:
        self.write_maximumValue(value)

    def _show(self) -> None:
        for box, name in zip(self._boxes, ("minimumValue", "maximumValue"), strict=True):
            blocker = QtCore.QSignalBlocker(box)
            box.setDecimals(self.values.get("decimals", 2))
            box.setRange(self.values["minimum"], self.values["maximum"])
            box.setValue(self.values[name])
            blocker.unblock()


class RangeWidget(Range):
    initial = {"decimals": 2, "singleStep": 1.0, "tracking": True}

    def changed_decimals(self, decimals: int) -> None:
        self._show()

    def setDecimals(self, decimals: int) -> None:
        self.widget.decimals = decimals


declare("ctkDoubleSlider", DoubleSlider)
declare("ctkDoubleSpinBox", DoubleSpinBox)
declare("ctkSliderWidget", SliderWidget)
declare("ctkDoubleRangeSlider", Range)
declare("ctkRangeWidget", RangeWidget)
declare("qMRMLSliderWidget", SliderWidget)
declare("qMRMLSpinBox", DoubleSpinBox)
declare("qMRMLRangeWidget", RangeWidget)
