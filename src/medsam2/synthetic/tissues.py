"""What tissues look like: broad textbook priors, widened on purpose; no value is fitted to an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tissue:
    """Intensity priors of a tissue.

    Attributes:
        ct: (mean, deviation) in Hounsfield units, between structures of this tissue.
        t1: Brightness in T1-weighted MR, 0..1.
        t2: Brightness in T2-weighted MR, 0..1.
        echo: Brightness in ultrasound, 0..1.
        texture: Strength of the texture inside, 0..1.
        light: Brightness in a photograph, a stained section or an X-ray film, 0..1.
    """

    ct: tuple[float, float]
    t1: float
    t2: float
    echo: float
    texture: float = 0.3
    light: float = 0.5


TISSUES: dict[str, Tissue] = {
    "air": Tissue((-1000, 5), 0.0, 0.0, 0.0, 0.0),
    "gas": Tissue((-920, 40), 0.02, 0.02, 0.1, 0.1),
    "lung": Tissue((-830, 60), 0.08, 0.1, 0.3, 0.6),
    "skin": Tissue((20, 30), 0.5, 0.4, 0.7, 0.3),
    "fat": Tissue((-100, 12), 0.9, 0.75, 0.4, 0.25),
    "muscle": Tissue((55, 12), 0.35, 0.2, 0.35, 0.4),
    "soft": Tissue((60, 30), 0.45, 0.45, 0.5, 0.3),
    "organ": Tissue((85, 30), 0.5, 0.4, 0.5, 0.3),
    "kidney": Tissue((130, 50), 0.45, 0.6, 0.4, 0.2),
    "wall": Tissue((60, 25), 0.4, 0.4, 0.5, 0.2),
    "content": Tissue((30, 50), 0.3, 0.6, 0.3, 0.8),
    "fluid": Tissue((8, 10), 0.15, 0.95, 0.05, 0.05),
    "vessel": Tissue((150, 80), 0.4, 0.3, 0.1, 0.1),
    "blood": Tissue((130, 70), 0.45, 0.5, 0.1, 0.15),
    "heart": Tissue((90, 25), 0.4, 0.4, 0.45, 0.2),
    "cortex": Tissue((900, 250), 0.05, 0.05, 0.95, 0.3),
    "marrow": Tissue((250, 100), 0.75, 0.55, 0.3, 0.7),
    "cartilage": Tissue((110, 30), 0.45, 0.55, 0.2, 0.1),
    "disc": Tissue((80, 20), 0.4, 0.6, 0.3, 0.2),
    "white": Tissue((28, 4), 0.75, 0.35, 0.4, 0.15),
    "grey": Tissue((38, 4), 0.55, 0.55, 0.5, 0.15),
    "csf": Tissue((8, 5), 0.15, 0.95, 0.05, 0.05),
    "lesion": Tissue((55, 45), 0.4, 0.65, 0.3, 0.5),
    "enhancing": Tissue((90, 40), 0.9, 0.6, 0.6, 0.3),
    "oedema": Tissue((22, 6), 0.35, 0.85, 0.5, 0.2),
    "necrosis": Tissue((18, 12), 0.2, 0.9, 0.2, 0.2),
    "calcium": Tissue((500, 250), 0.1, 0.1, 0.95, 0.2),
    "dark field": Tissue((-1000, 5), 0.0, 0.0, 0.0, 0.0, 0.0),
    "retina": Tissue((50, 150), 0.5, 0.5, 0.5, 0.4, 0.45),
    "optic disc": Tissue((50, 150), 0.7, 0.7, 0.5, 0.2, 0.75),
    "optic cup": Tissue((50, 150), 0.9, 0.9, 0.5, 0.1, 0.95),
    "retinal vessel": Tissue((50, 150), 0.3, 0.3, 0.5, 0.1, 0.22),
    "macula": Tissue((50, 150), 0.4, 0.4, 0.5, 0.2, 0.33),
    "exudate": Tissue((50, 150), 0.8, 0.8, 0.5, 0.1, 0.9),
    "bleeding": Tissue((50, 150), 0.3, 0.3, 0.5, 0.1, 0.2),
    "bare skin": Tissue((50, 150), 0.7, 0.7, 0.5, 0.4, 0.75),
    "mole": Tissue((50, 150), 0.4, 0.4, 0.5, 1.0, 0.42),
    "dark mole": Tissue((50, 150), 0.2, 0.2, 0.5, 0.8, 0.2),
    "pale mole": Tissue((50, 150), 0.6, 0.6, 0.5, 0.6, 0.6),
    "hair": Tissue((50, 150), 0.1, 0.1, 0.5, 0.1, 0.05),
    "glass": Tissue((50, 150), 0.9, 0.9, 0.5, 0.2, 0.95),
    "cytoplasm": Tissue((50, 150), 0.5, 0.5, 0.5, 0.5, 0.62),
    "nucleus": Tissue((50, 150), 0.3, 0.3, 0.5, 0.6, 0.25),
    "nucleolus": Tissue((50, 150), 0.2, 0.2, 0.5, 0.2, 0.1),
    "stroma": Tissue((50, 150), 0.6, 0.6, 0.5, 1.0, 0.75),
    "film soft": Tissue((50, 150), 0.5, 0.5, 0.5, 0.3, 0.55),
    "film lung": Tissue((50, 150), 0.2, 0.2, 0.5, 0.5, 0.25),
    "film heart": Tissue((50, 150), 0.6, 0.6, 0.5, 0.3, 0.7),
    "film bone": Tissue((50, 150), 0.8, 0.8, 0.5, 0.6, 0.85),
    "film overlap": Tissue((50, 150), 0.9, 0.9, 0.5, 0.4, 1.0),
    "matter": Tissue((50, 150), 0.5, 0.5, 0.5, 0.5),
}
