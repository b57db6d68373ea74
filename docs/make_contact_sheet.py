"""Save a contact sheet of synthetic clips to docs/images/synthetic.png (needs pillow)."""

from pathlib import Path

import torch
from PIL import Image

from medsam2.synthetic import FAMILIES, ClipRecipe, contact_sheet, draw_clip, make_clip, sample_targets

FRAMES, SIZE, OBJECTS = 4, 128, 2
KINDS = [kind for kind in FAMILIES if kind != "body"]
TARGET = Path(__file__).parent / "images" / "synthetic.png"


def main(seed: int = 0) -> None:
    """Draw two clips of each family, ordered on the left, unordered on the right."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for kind in KINDS:
        halves = []
        for unordered_share in (0.0, 1.0):
            recipe = ClipRecipe(FRAMES, SIZE, (kind,), unordered_share)
            clip = make_clip(recipe, generator)
            halves.append(draw_clip(clip, sample_targets(clip, OBJECTS, generator)))
        rows.append(torch.cat(halves, dim=1))
    TARGET.parent.mkdir(exist_ok=True)
    sheet = Image.fromarray(contact_sheet(rows).numpy())
    sheet.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
