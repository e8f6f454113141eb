"""Which structure of a model a segment stands for."""

from __future__ import annotations

import effect_bench  # noqa: F401  it makes the effect's files known
import pytest
import slicer
from phantom import make_card
from SegmentEditorGDLALib.Structures import structureOf

from GDLACore.imaging.seg_nrrd import LABEL_TAG, MODEL_TAG, label_tag

CARD = make_card(("liver", "spleen", "aorta"))
LIVER, SPLEEN, AORTA = CARD.labels


def segment(name: str, **tags: str):
    made = slicer.vtkSegment()
    made.SetName(name)
    for tag, value in tags.items():
        made.SetTag({"model": MODEL_TAG, "label": LABEL_TAG}[tag], value)
    return made


@pytest.mark.parametrize("name", ["spleen", " Spleen ", "SPLEEN"])
def test_a_segment_is_known_by_its_name(name):
    assert structureOf(segment(name), CARD) == SPLEEN


@pytest.mark.parametrize("name", ["", "spleens", "my remark"])
def test_a_segment_of_another_name_is_none(name):
    assert structureOf(segment(name), CARD) is None


@pytest.mark.parametrize("version", ["", ":1", ":2.0"])
def test_what_the_model_made_is_known_by_its_tags_whatever_it_is_called(version):
    made = segment("liver", model=CARD.name + version, label=label_tag(AORTA))
    assert structureOf(made, CARD) == AORTA


def test_what_another_model_made_is_known_by_its_name():
    made = segment("liver", model="another:1", label=label_tag(AORTA))
    assert structureOf(made, CARD) == LIVER


def test_a_tag_of_no_structure_leaves_the_name():
    assert structureOf(segment("liver", model=CARD.name, label="tail"), CARD) == LIVER
