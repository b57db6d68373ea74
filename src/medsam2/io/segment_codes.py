"""What DICOM calls the things that are segmented: SNOMED CT codes by the names that people give to objects.

Names are those of TotalSegmentator and plain English words, in any case and with any separator; "left" or "right" may
stand first or last, and a number last ("lesion 2"). A lesion may be named with its place: "liver tumour". The table is
small on purpose: every code in it is one of the DICOM standard's own (PS3.16), with the standard's meaning, and a name
that it does not know is coded as tissue, which is true of anything and what 3D Slicer writes by default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "SCT"
"""DICOM's designator of SNOMED CT."""


@dataclass(frozen=True)
class Concept:
    """A concept of SNOMED CT.

    Attributes:
        value: The code.
        meaning: Its meaning in English, as DICOM has it.
    """

    value: str
    meaning: str


@dataclass(frozen=True)
class SegmentCode:
    """How DICOM says what a segment is.

    Attributes:
        category: Anatomy, abnormality or tissue (PS3.16, CID 7150).
        kind: The property type: which anatomy or abnormality.
        side: The type's modifier, left or right; None if there is none.
        region: Where an abnormality lies; None if the name does not say.
    """

    category: Concept
    kind: Concept
    side: Concept | None = None
    region: Concept | None = None

    @property
    def is_known(self) -> bool:
        """Whether the name was in the table."""
        return self != UNKNOWN


ANATOMY = Concept("91723000", "Anatomical Structure")
ABNORMALITY = Concept("49755003", "Morphologically Abnormal Structure")
TISSUE = Concept("85756007", "Tissue")
UNKNOWN = SegmentCode(TISSUE, TISSUE)

SIDES = {"left": Concept("7771000", "Left"), "right": Concept("24028007", "Right")}

_KIDNEY = Concept("64033007", "Kidney")
_ADRENAL_GLAND = Concept("23451007", "Adrenal gland")
_ESOPHAGUS = Concept("32849002", "Esophagus")
_BLADDER = Concept("89837001", "Bladder")
_THYROID = Concept("69748006", "Thyroid")
_INFERIOR_VENA_CAVA = Concept("64131007", "Inferior vena cava")
_LEFT_ATRIUM = Concept("82471001", "Left atrium")
_RIGHT_ATRIUM = Concept("73829009", "Right atrium")
_LEFT_VENTRICLE = Concept("87878005", "Left ventricle")
_RIGHT_VENTRICLE = Concept("53085002", "Right ventricle")
_BRAIN_STEM = Concept("119238007", "Brain Stem")
_OPTIC_DISC = Concept("81016008", "Optic nerve head")
_NEOPLASM = Concept("108369006", "Neoplasm")
_EDEMA = Concept("79654002", "Edema")
_HEMORRHAGE = Concept("50960005", "Hemorrhage")
_VERTEBRA = Concept("51282000", "Vertebra")
_NUCLEUS = Concept("84640000", "Nucleus")

SINGLE: dict[str, Concept] = {
    "aorta": Concept("15825003", "Aorta"),
    "bladder": _BLADDER,
    "bone": Concept("272673000", "Bone"),
    "brain": Concept("12738006", "Brain"),
    "brain_stem": _BRAIN_STEM,
    "brainstem": _BRAIN_STEM,
    "cell": Concept("4421005", "Cell"),
    "cerebellum": Concept("113305005", "Cerebellum"),
    "colon": Concept("71854001", "Colon"),
    "duodenum": Concept("38848004", "Duodenum"),
    "esophagus": _ESOPHAGUS,
    "gallbladder": Concept("28231008", "Gallbladder"),
    "heart": Concept("80891009", "Heart"),
    "heart_atrium_left": _LEFT_ATRIUM,
    "heart_atrium_right": _RIGHT_ATRIUM,
    "heart_ventricle_left": _LEFT_VENTRICLE,
    "heart_ventricle_right": _RIGHT_VENTRICLE,
    "inferior_vena_cava": _INFERIOR_VENA_CAVA,
    "left_atrium": _LEFT_ATRIUM,
    "left_ventricle": _LEFT_VENTRICLE,
    "liver": Concept("10200004", "Liver"),
    "lung_middle_lobe_right": Concept("72481006", "Middle lobe of right lung"),
    "lymph_node": Concept("59441001", "Lymph Node"),
    "mandible": Concept("91609006", "Mandible"),
    "nucleus": _NUCLEUS,
    "oesophagus": _ESOPHAGUS,
    "pancreas": Concept("15776009", "Pancreas"),
    "pericardium": Concept("76848001", "Pericardium"),
    "portal_vein": Concept("32764006", "Portal vein"),
    "postcava": _INFERIOR_VENA_CAVA,
    "prostate": Concept("41216001", "Prostate"),
    "pulmonary_artery": Concept("81040000", "Pulmonary artery"),
    "pulmonary_vein": Concept("122972007", "Pulmonary vein"),
    "rectum": Concept("34402009", "Rectum"),
    "right_atrium": _RIGHT_ATRIUM,
    "right_ventricle": _RIGHT_VENTRICLE,
    "sacrum": Concept("54735007", "Sacrum"),
    "skin": Concept("39937001", "Skin"),
    "skull": Concept("89546000", "Skull"),
    "small_bowel": Concept("30315005", "Small intestine"),
    "small_intestine": Concept("30315005", "Small intestine"),
    "spinal_cord": Concept("2748008", "Spinal cord"),
    "spleen": Concept("78961009", "Spleen"),
    "sternum": Concept("56873002", "Sternum"),
    "stomach": Concept("69695003", "Stomach"),
    "superior_vena_cava": Concept("48345005", "Superior vena cava"),
    "thyroid": _THYROID,
    "thyroid_gland": _THYROID,
    "trachea": Concept("44567001", "Trachea"),
    "urinary_bladder": _BLADDER,
    "uterus": Concept("35039007", "Uterus"),
    "vertebra": _VERTEBRA,
    "vertebrae": _VERTEBRA,
}
"""Anatomy without a side, or whose side is in the code."""

PAIRED: dict[str, Concept] = {
    "adrenal_gland": _ADRENAL_GLAND,
    "breast": Concept("76752008", "Breast"),
    "clavicle": Concept("51299004", "Clavicle"),
    "clavicula": Concept("51299004", "Clavicle"),
    "common_carotid_artery": Concept("32062004", "Common carotid artery"),
    "eye": Concept("81745001", "Eye"),
    "femur": Concept("71341001", "Femur"),
    "fibula": Concept("87342007", "Fibula"),
    "hippocampus": Concept("5366008", "Hippocampus"),
    "humerus": Concept("85050009", "Humerus"),
    "iliac_artery": Concept("10293006", "Iliac artery"),
    "kidney": _KIDNEY,
    "lens": Concept("78076003", "Lens"),
    "lung": Concept("39607008", "Lung"),
    "lung_lower_lobe": Concept("90572001", "Lower lobe of lung"),
    "lung_upper_lobe": Concept("45653009", "Upper lobe of lung"),
    "optic_disc": _OPTIC_DISC,
    "optic_disk": _OPTIC_DISC,
    "optic_nerve": Concept("18234004", "optic nerve"),
    "ovary": Concept("15497006", "Ovary"),
    "parotid_gland": Concept("45289007", "Parotid gland"),
    "patella": Concept("64234005", "Patella"),
    "radius": Concept("62413002", "Radius"),
    "retina": Concept("5665001", "Retina"),
    "rib": Concept("113197003", "Rib"),
    "scapula": Concept("79601000", "Scapula"),
    "subclavian_artery": Concept("36765005", "Subclavian artery"),
    "submandibular_gland": Concept("54019009", "Submandibular gland"),
    "testis": Concept("40689003", "Testis"),
    "tibia": Concept("12611008", "Tibia"),
    "ulna": Concept("23416004", "Ulna"),
    "ureter": Concept("87953007", "Ureter"),
}
"""Anatomy of which there is one on each side."""

_VERTEBRAE = {
    "c": ("14806007", "39976000", "113205007", "5329002", "36978003", "36054005", "87391001"),
    "t": (
        *("64864005", "53733008", "1626008", "73071006", "56401006", "45296009"),
        *("62487009", "11068009", "82687006", "7610001", "12989004", "23215003"),
    ),
    "l": ("66794005", "14293000", "36470004", "11994002", "49668003"),
}
SINGLE.update(
    {
        f"vertebrae_{part}{number}": Concept(value, f"{part.upper()}{number} vertebra")
        for part, values in _VERTEBRAE.items()
        for number, value in enumerate(values, start=1)
    }
)

ABNORMAL: dict[str, Concept] = {
    "abscess": Concept("44132006", "Abscess"),
    "cyst": Concept("367643001", "Cyst"),
    "edema": _EDEMA,
    "haemorrhage": _HEMORRHAGE,
    "hemorrhage": _HEMORRHAGE,
    "lesion": Concept("52988006", "Lesion"),
    "mass": Concept("4147007", "Mass"),
    "metastasis": Concept("128462008", "Metastasis"),
    "necrosis": Concept("6574001", "Necrosis"),
    "neoplasm": _NEOPLASM,
    "nodule": Concept("27925004", "Nodule"),
    "oedema": _EDEMA,
    "thrombus": Concept("396339007", "Thrombus"),
    "tumor": _NEOPLASM,
    "tumour": _NEOPLASM,
}
"""What does not belong there; the last word of a name."""


def code_of(name: str) -> SegmentCode:
    """Give the code of an object by its name; `UNKNOWN` if it is not in the table.

    Example:
        >>> code = code_of("kidney_left")
        >>> code.kind.meaning, code.side.meaning
        ('Kidney', 'Left')
        >>> code_of("Liver tumour 2").region.meaning
        'Liver'
    """
    words = re.findall(r"[a-z0-9]+", name.lower())
    if len(words) > 1 and words[-1].isdigit():
        words.pop()
    abnormality = ABNORMAL.get(words[-1]) if words else None
    if abnormality is None:
        return _anatomy(words)
    place = _anatomy(words[:-1])
    return SegmentCode(ABNORMALITY, abnormality, place.side, place.kind if place.is_known else None)


def _anatomy(words: list[str]) -> SegmentCode:
    single = SINGLE.get("_".join(words))
    if single is not None:
        return SegmentCode(ANATOMY, single)
    sides = [word for word in words if word in SIDES]
    paired = PAIRED.get("_".join(word for word in words if word not in SIDES))
    if paired is None or len(sides) > 1:
        return UNKNOWN
    return SegmentCode(ANATOMY, paired, SIDES[sides[0]] if sides else None)
