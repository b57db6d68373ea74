"""Save pictures of what the starter does worst, on real and on synthetic cases, to docs/images/starter_failures.png.

White dots: the reference. Colour: what was found from one box. Each pair of pictures is one structure, first the slice
that was prompted, then the slice with the most wrong pixels.
"""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from medsam2 import Segmenter
from medsam2.datasets import CaseSet
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation import Protocol, evaluate, example_set, unseen_synthetic_set
from medsam2.evaluation.worst_cases import draw_worst

TARGET = Path(__file__).parent / "images" / "starter_failures.png"
SHOWN, SIDE, CAPTION = 5, 200, 32


def failures(segmenter: Segmenter, cases: CaseSet) -> list[Image.Image]:
    """The worst structures of a set, a row each."""
    scored = list(evaluate(segmenter, cases, (Protocol.BOX_VOLUME,), SegmentSettings()))
    worst = draw_worst(segmenter, cases, scored, SegmentSettings(), count=SHOWN)
    return [row(one.scores.case, one.scores.structure, one.scores.values[one.column], one.pictures) for one in worst]


def row(case: str, name: str, dice: float, pictures: tuple[tuple[str, bytes], ...]) -> Image.Image:
    """The pictures of one structure, with its Dice."""
    drawn = Image.new("RGB", (2 * SIDE, SIDE + CAPTION), "white")
    ImageDraw.Draw(drawn).text((4, 2), f"{case}: {name}\nDice {dice:.2f}; {pictures[-1][0]}", fill="black")
    for place, (_, png) in enumerate(pictures):
        picture = Image.open(BytesIO(png)).convert("RGB")
        picture.thumbnail((SIDE - 4, SIDE - 4))
        drawn.paste(picture, (place * SIDE, CAPTION))
    return drawn


def main() -> None:
    """Draw both sets, a column each."""
    segmenter = Segmenter.from_pretrained("starter", "cpu")
    columns = [failures(segmenter, cases) for cases in (example_set(), unseen_synthetic_set())]
    sheet = Image.new("RGB", (4 * SIDE, SHOWN * (SIDE + CAPTION)), "white")
    for column, rows in enumerate(columns):
        for line, one in enumerate(rows):
            sheet.paste(one, (column * 2 * SIDE, line * (SIDE + CAPTION)))
    sheet.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
