"""The definitions in words, as every report prints them."""

from __future__ import annotations

OUTCOME_WORDS = {
    "found": "Found",
    "missed": "Missed: in the reference alone",
    "false": "False: in the prediction alone",
    "absent": "Absent: in neither",
}

NATIVE_DEFINITIONS = {
    "Outcome": "found: in prediction and reference; missed: in the reference alone; false: in the "
    "prediction alone; absent: in neither. Voxels nobody annotated count nowhere, and structures "
    "an image is not annotated for have no row.",
    "Dice": "2 |P and R| / (|P| + |R|). A missed or false structure has 0, which is in the mean; "
    "an absent one has none.",
    "Surface": "the voxels of a mask with a face neighbour outside the mask; beyond the image is "
    "outside, a voxel nobody annotated is not. Distances are between voxel centres, with the "
    "spacing along each axis of the grid.",
    "HD95": "the larger of the two directions' 95th percentiles of the distances from one surface "
    "to the other. Not defined, and in no mean, for missed, false and absent structures: read it "
    "beside their numbers.",
    "NSD": "normalised surface distance: the share of both surfaces' voxels that lie within the "
    "tolerance of the other surface. A missed or false structure has 0.",
    "ASSD": "the mean distance of both surfaces' voxels together to the other surface; defined "
    "where HD95 is.",
    "Volume difference": "prediction minus reference; in percent of the reference.",
}

PAPER_DEFINITIONS = {
    "Published Dice": "MONAI's, ignore-empty: a structure the reference lacks is left out however "
    "much of it was predicted. Labels are enlarged to the native grid by nearest neighbour.",
    "Published HD95": "MedPy's, without a spacing: the 95th percentile of both directions' "
    "distances in one set, in voxels as if these were cubes. 0 where prediction or reference is "
    "empty, which counts a missed structure as perfect. Not comparable with HD95 in mm.",
}

PICTURE_DEFINITIONS = {
    "Published grid": "pictures were published at the network's own size, {size} x {size}, and not "
    "at theirs: the reference is shrunken to it by nearest neighbour from the picture's corner.",
}

INTERVALS = (
    "95 %, by the BCa bootstrap over patients (whole patients are drawn, 9999 times, with a fixed "
    "seed; the percentile bootstrap where BCa is not defined). It tells how the mean would vary "
    "with other patients of this kind, not with other kinds of patients."
)

MIXED_UNITS = (
    "Lengths are in mm for some images and in voxels for others: HD95, NSD and ASSD have no mean "
    "over both."
)
