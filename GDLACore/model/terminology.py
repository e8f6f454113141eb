"""What a segment is, in coded terms that Slicer and DICOM understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from GDLACore.model.fields import Fields

# Names of the two code lists that ship with Slicer. A code that is in neither must not claim
# to be: its terminology names a list of ours (Resources/terminologies) instead.
SLICER_GENERAL_ANATOMY = "Segmentation category and type - 3D Slicer General Anatomy list"
DICOM_MASTER_REGIONS = "Anatomic codes - DICOM master list"

_NO_SEPARATORS = r"[^~^]+"
_NO_SEPARATORS_MEANING = "text without ~ and ^, which separate codes in Slicer"


@dataclass(frozen=True)
class Code:
    """One coded concept. ``scheme`` and ``value`` identify it; ``meaning`` is for people."""

    scheme: str
    value: str
    meaning: str

    @classmethod
    def from_dict(cls, data: Any) -> Code:
        fields = Fields(data)
        code = cls(
            *(
                fields.matching(name, _NO_SEPARATORS, _NO_SEPARATORS_MEANING)
                for name in ("scheme", "value", "meaning")
            )
        )
        fields.finish()
        return code

    def to_dict(self) -> dict[str, Any]:
        return {"scheme": self.scheme, "value": self.value, "meaning": self.meaning}


@dataclass(frozen=True)
class Terminology:
    """Category, type and anatomic region of a segment, each as a code, with optional modifiers.

    ``context`` and ``region_context`` name the code lists that the codes were taken from.
    """

    category: Code
    type: Code
    type_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None
    context: str = SLICER_GENERAL_ANATOMY
    region_context: str = DICOM_MASTER_REGIONS

    def serialized(self) -> str:
        """Return the seven-part string that Slicer keeps in a segment's ``TerminologyEntry`` tag.

        Its parts: context~category~type~modifier~region context~region~region modifier; a code is
        scheme^value^meaning, an absent one ^^.
        """
        return "~".join(
            (
                self.context,
                _joined(self.category),
                _joined(self.type),
                _joined(self.type_modifier),
                self.region_context,
                _joined(self.region),
                _joined(self.region_modifier),
            )
        )

    @classmethod
    def from_dict(cls, data: Any) -> Terminology:
        """Return the terminology in ``data``; raise ModelFileError naming the field at fault."""
        fields = Fields(data)

        def code(name: str) -> Code:
            return fields.object(name, Code.from_dict)

        def context(name: str) -> str:
            return fields.matching(name, _NO_SEPARATORS, _NO_SEPARATORS_MEANING)

        terminology = cls(
            category=code("category"),
            type=code("type"),
            type_modifier=fields.optional("type_modifier", code),
            region=fields.optional("region", code),
            region_modifier=fields.optional("region_modifier", code),
            context=fields.optional("context", context) or SLICER_GENERAL_ANATOMY,
            region_context=fields.optional("region_context", context) or DICOM_MASTER_REGIONS,
        )
        fields.finish()
        return terminology

    def to_dict(self) -> dict[str, Any]:
        """Return the inverse of ``from_dict``: absent codes and Slicer's own lists stay unsaid."""
        data: dict[str, Any] = {"category": self.category.to_dict(), "type": self.type.to_dict()}
        for name in ("type_modifier", "region", "region_modifier"):
            code: Code | None = getattr(self, name)
            if code is not None:
                data[name] = code.to_dict()
        if self.context != SLICER_GENERAL_ANATOMY:
            data["context"] = self.context
        if self.region_context != DICOM_MASTER_REGIONS:
            data["region_context"] = self.region_context
        return data


def _joined(code: Code | None) -> str:
    return f"{code.scheme}^{code.value}^{code.meaning}" if code else "^^"
