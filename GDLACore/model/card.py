"""What a model is, without its network: what it was taught, and how its images must be fed.

A card is data. It travels as JSON inside a model file or in the catalogue, and everything that
differs between two checkpoints is in it. Reading one validates every field.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from GDLACore.model.fields import Fields, inside, parse_json, refuse
from GDLACore.model.terminology import Code, Terminology

__all__ = [
    "Architecture",
    "Code",
    "IntensityProfile",
    "Label",
    "ModelCard",
    "Provenance",
    "Terminology",
]

SCHEMA_VERSION = 1

ENCODERS = ("b0", "b1", "b2", "b3", "b4", "b5")
MIXERS = ("gdla", "softmax", "differential", "linear")
# "gdla" less one of its parts; GDLACore.network.ablations says which. They run in PyTorch only.
ABLATIONS = ("gdla-no-gate", "gdla-no-difference", "gdla-no-local")
MODALITIES = ("CT", "MR", "US", "RGB")
INTENSITY_KINDS = ("ct_window", "zscore_volume", "minmax_volume", "minmax_image", "none")
SLICE_AXES = ("axial", "acquisition", "auto")
DIHEDRAL_VIEWS = (
    "identity",
    "flip_rows",
    "flip_columns",
    "rotate_180",
    "transpose",
    "rotate_90",
    "rotate_270",
    "anti_transpose",
)
RESAMPLINGS = ("spline3", "antialias")

# The encoder halves its input five times; 4096 keeps a typing error from asking for terabytes.
_STRIDE = 32
_LARGEST_INPUT = 4096
_MOST_LABELS = 65_535  # what a uint16 label map can hold

_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAME_MEANING = "up to 64 lower-case letters, digits, dots, dashes or underscores"
SHA256 = r"[0-9a-f]{64}"
SHA256_MEANING = "a SHA-256 in 64 lower-case hexadecimal digits"


@dataclass(frozen=True)
class Architecture:
    """Which member of the family: the PVTv2 encoder's size and the decoder's token mixer."""

    encoder: str
    mixer: str

    def __str__(self) -> str:
        return f"PVTv2-{self.encoder}, {self.mixer}"

    @classmethod
    def from_dict(cls, data: Any) -> Architecture:
        fields = Fields(data)
        architecture = cls(
            fields.choice("encoder", ENCODERS), fields.choice("mixer", MIXERS + ABLATIONS)
        )
        fields.finish()
        return architecture

    def to_dict(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "mixer": self.mixer}


@dataclass(frozen=True)
class IntensityProfile:
    """How stored values become the network's input; GDLACore.imaging.intensity carries it out.

    ``lower`` and ``upper`` are the window of ``ct_window``, in HU; the other kinds have neither.
    """

    kind: str
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in INTENSITY_KINDS:
            refuse("kind", f"must be one of {', '.join(INTENSITY_KINDS)}")
        if self.kind != "ct_window":
            if self.lower is not None or self.upper is not None:
                refuse("lower and upper", f"belong to ct_window, not to {self.kind}")
        elif self.lower is None or self.upper is None:
            refuse("lower and upper", "are both needed by ct_window")
        elif not (math.isfinite(self.upper - self.lower) and self.lower < self.upper):
            refuse("upper", f"must be above lower ({self.lower}), not {self.upper}")

    @classmethod
    def from_dict(cls, data: Any) -> IntensityProfile:
        fields = Fields(data)
        profile = cls(
            fields.choice("kind", INTENSITY_KINDS),
            fields.optional("lower", fields.number),
            fields.optional("upper", fields.number),
        )
        fields.finish()
        return profile

    def to_dict(self) -> dict[str, Any]:
        if self.kind == "ct_window":
            return {"kind": self.kind, "lower": self.lower, "upper": self.upper}
        return {"kind": self.kind}


@dataclass(frozen=True)
class Label:
    """One structure the network tells apart. ``value`` is both its channel and its label.

    ``color`` is red, green, blue, 0 to 255. ``note`` is what a reader of results must know about
    this structure, such as that no held-out image confirmed it.
    """

    value: int
    name: str
    terminology: Terminology
    color: tuple[int, int, int]
    note: str = ""

    @classmethod
    def from_dict(cls, data: Any) -> Label:
        fields = Fields(data)
        label = cls(
            value=fields.integer("value", 1, _MOST_LABELS),
            name=fields.text("name"),
            terminology=fields.object("terminology", Terminology.from_dict),
            color=fields.color("color"),
            note=fields.optional("note", fields.text) or "",
        )
        fields.finish()
        return label

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "value": self.value,
            "name": self.name,
            "terminology": self.terminology.to_dict(),
            "color": list(self.color),
        }
        return {**data, "note": self.note} if self.note else data


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, on what terms, for what use, and what is known against it."""

    source: str
    training_data: str
    licence: str
    intended_use: str
    citation: str
    caveats: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Any) -> Provenance:
        fields = Fields(data)
        provenance = cls(
            source=fields.text("source"),
            training_data=fields.text("training_data"),
            licence=fields.text("licence"),
            intended_use=fields.text("intended_use"),
            citation=fields.text("citation"),
            caveats=fields.optional("caveats", fields.texts) or (),
        )
        fields.finish()
        return provenance

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "training_data": self.training_data,
            "licence": self.licence,
            "intended_use": self.intended_use,
            "citation": self.citation,
            "caveats": list(self.caveats),
        }


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to feed a checkpoint and to name what it returns.

    ``labels`` leaves the background (0) out and counts from 1. ``input_size`` is the side, in
    pixels, of the square the network was taught on. ``slice_axis``, ``view`` and ``resampling``
    are explained in GDLACore.imaging. ``sha256`` is the hash of the weights, where known.
    """

    name: str
    version: str
    title: str
    modality: str
    architecture: Architecture
    in_channels: int
    input_size: int
    labels: tuple[Label, ...]
    intensity: IntensityProfile
    slice_axis: str
    view: str
    resampling: str
    provenance: Provenance
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.in_channels not in (1, 3):
            refuse("in_channels", f"must be 1 (grey) or 3 (colour), not {self.in_channels}")
        if self.modality == "RGB" and self.in_channels != 3:
            refuse("in_channels", "must be 3 where the modality is RGB")
        if self.input_size < _STRIDE or self.input_size % _STRIDE:
            refuse("input_size", f"must be a multiple of {_STRIDE}, not {self.input_size}")
        values = [label.value for label in self.labels]
        if not values or values != list(range(1, len(values) + 1)):
            refuse("labels", f"must have the values 1, 2, 3, … in this order, not {values[:20]}")
        names = [label.name.casefold() for label in self.labels]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            refuse("labels", f"must have different names, but {twice!r} is used twice")

    @property
    def classes(self) -> int:
        """Return how many channels the network's output has, background included."""
        return len(self.labels) + 1

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "model card") -> ModelCard:
        """Return the card in ``text``; ``source`` names the file in errors.

        Raises ModelFileError for anything that is not a valid card, naming the field.
        """
        data = parse_json(text, source)
        with inside(f"{source}: "):
            return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Any) -> ModelCard:
        """Return the card in ``data``; raise ModelFileError naming the field at fault."""
        fields = Fields(data)
        fields.integer("schema", SCHEMA_VERSION, SCHEMA_VERSION)
        card = cls(
            name=fields.matching("name", _NAME, _NAME_MEANING),
            version=fields.text("version"),
            title=fields.text("title"),
            modality=fields.choice("modality", MODALITIES),
            architecture=fields.object("architecture", Architecture.from_dict),
            in_channels=fields.integer("in_channels", 1, 3),
            input_size=fields.integer("input_size", _STRIDE, _LARGEST_INPUT),
            labels=fields.objects("labels", Label.from_dict),
            intensity=fields.object("intensity", IntensityProfile.from_dict),
            slice_axis=fields.choice("slice_axis", SLICE_AXES),
            view=fields.choice("view", DIHEDRAL_VIEWS),
            resampling=fields.choice("resampling", RESAMPLINGS),
            provenance=fields.object("provenance", Provenance.from_dict),
            sha256=fields.optional(
                "sha256", lambda name: fields.matching(name, SHA256, SHA256_MEANING)
            ),
        )
        fields.finish()
        return card

    def to_json(self) -> str:
        """Return the card as indented JSON that ``from_json`` turns back into an equal card."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "version": self.version,
            "title": self.title,
            "modality": self.modality,
            "architecture": self.architecture.to_dict(),
            "in_channels": self.in_channels,
            "input_size": self.input_size,
            "labels": [label.to_dict() for label in self.labels],
            "intensity": self.intensity.to_dict(),
            "slice_axis": self.slice_axis,
            "view": self.view,
            "resampling": self.resampling,
            "provenance": self.provenance.to_dict(),
            "sha256": self.sha256,
        }
