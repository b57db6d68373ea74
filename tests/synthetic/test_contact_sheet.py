import torch

from medsam2.synthetic import ClipRecipe, contact_sheet, draw_clip, make_clip, sample_targets
from medsam2.synthetic.contact_sheet import outlines


def test_outline_of_a_square_is_its_frame():
    mask = torch.zeros(7, 7, dtype=torch.bool)
    mask[1:6, 1:6] = True
    assert int(outlines(mask).sum()) == 16


def test_sheet_has_a_row_a_clip():
    generator = torch.Generator().manual_seed(0)
    clips = [make_clip(ClipRecipe(frames=2, size=32, kinds=(kind,)), generator) for kind in ("generic", "skin")]
    rows = [draw_clip(clip, sample_targets(clip, 2, generator)) for clip in clips]
    sheet = contact_sheet(rows, gap=2)
    assert sheet.shape == (66, 64, 3)
    assert sheet.dtype == torch.uint8
