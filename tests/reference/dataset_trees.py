"""Tiny data sets in the exact layouts of the public ones; run as a script, it writes them all into a folder."""

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

SHAPE = (4, 12, 10)
"""Slices, rows and columns of the scans."""

SPACING = (1.5, 1.5, 3.0)


def blocks(*labels, shape=SHAPE):
    """A label map with a block of 3 x 2 pixels a label, on all slices but the first."""
    found = np.zeros(shape, np.uint8)
    for place, label in enumerate(labels):
        row, column = divmod(place, 4)
        found[1:, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2] = label
    return found


def shown(labels, seed=0):
    """A scan in which labels are brighter than what is around them."""
    noise = np.random.default_rng(seed).normal(0, 4, labels.shape)
    return (40 + 15 * labels + noise).clip(0, 255).astype(np.int16)


def write_nifti(path, array, spacing=SPACING):
    """Write (D, H, W), or (C, D, H, W) as a 4-D file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = array.transpose(2, 1, 0) if array.ndim == 3 else array.transpose(3, 2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(stored, np.diag([*spacing, 1.0])), path)


def write_picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def photograph(shape=(12, 10), seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3), np.uint8)


def write_btcv(root):
    """Two cases of the challenge; the second has no gallbladder."""
    for number, organs in (("0001", range(1, 14)), ("0002", [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13])):
        labels = blocks(*organs)
        write_nifti(root / "RawData" / "Training" / "img" / f"img{number}.nii.gz", shown(labels))
        write_nifti(root / "RawData" / "Training" / "label" / f"label{number}.nii.gz", labels)


def write_btcv_released(root):
    """One volume a split, of twelve slices: their numbers are no words."""
    for split, name in (("Training", "img0001"), ("Test", "img0035")):
        labels = blocks(6, 8, shape=(12, 12, 10))
        for number, (picture, mask) in enumerate(zip(shown(labels).astype(np.uint8), labels, strict=True)):
            write_picture(root / split / "image" / name / f"{number}.jpg", np.stack([picture] * 3, -1))
            path = root / split / "mask" / name / f"{number}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, mask.astype(np.float64))


def disc_and_cup(shape=(12, 10)):
    disc, cup = np.zeros((2, *shape), bool)
    disc[2:9, 2:8], cup[4:7, 4:6] = True, True
    return disc, cup


def write_refuge2(root):
    """The challenge's layout: two photographs of training, one of the test."""
    disc, cup = disc_and_cup()
    mask = np.where(cup, 0, np.where(disc, 128, 255)).astype(np.uint8)
    for name, images, masks in (
        ("g0001", "Training400/Glaucoma", "Annotation-Training400/Disc_Cup_Masks/Glaucoma"),
        ("n0001", "Training400/Non-Glaucoma", "Annotation-Training400/Disc_Cup_Masks/Non-Glaucoma"),
        ("T0001", "Test400", "REFUGE-Test-GT/Disc_Cup_Masks"),
    ):
        write_picture(root / images / f"{name}.jpg", photograph())
        write_picture(root / masks / f"{name}.bmp", mask)


def write_refuge2_released(root):
    """Seven raters: four of them draw the structure, three draw nothing."""
    for split, case in (("Training", "g0001"), ("Test", "T0001")):
        folder = root / f"{split}-400" / case
        write_picture(folder / f"{case}_cropped.jpg", photograph((16, 16)))
        for structure, mask in zip(("disc", "cup"), disc_and_cup((16, 16)), strict=True):
            for rater in range(1, 8):
                drawn = mask if rater <= 4 else np.zeros_like(mask)
                write_picture(folder / f"{case}_seg_{structure}_{rater}_cropped.jpg", drawn.astype(np.uint8) * 255)


def write_brats(root, new=True):
    """Two cases of one patient, and one without enhancing tumour."""
    channels = ("t1n", "t1c", "t2w", "t2f") if new else ("t1", "t1ce", "t2", "flair")
    joint, enhancing = ("-", 3) if new else ("_", 4)
    names = ("BraTS-GLI-00002-000", "BraTS-GLI-00002-001", "BraTS-GLI-00003-000")
    if not new:
        names = ("BraTS20_Training_001",)
    for name in names:
        labels = blocks(1, 2) if name.endswith("00003-000") else blocks(1, 2, enhancing)
        for seed, channel in enumerate(channels):
            write_nifti(root / name / f"{name}{joint}{channel}.nii.gz", shown(labels, seed))
        write_nifti(root / name / f"{name}{joint}seg.nii.gz", labels)


def write_tnscui(root):
    mask = np.zeros((12, 10), np.uint8)
    mask[3:8, 2:7] = 255
    for name in ("2", "1042"):
        write_picture(root / "image" / f"{name}.PNG", photograph()[..., 0])
        write_picture(root / "mask" / f"{name}.PNG", mask)
    (root / "train.csv").write_text("ID,CATE\n2.PNG,0\n1042.PNG,1\n")


def ddti_mark(number, *polygons):
    regions = [{"points": [{"x": x, "y": y} for x, y in one], "regionType": "freehand"} for one in polygons]
    return f"<mark><image>{number}</image><svg>{json.dumps(regions) if regions else ''}</svg></mark>"


SQUARE = ((2, 3), (6, 3), (6, 8), (2, 8))
TRIANGLE = ((7, 0), (9, 0), (9, 2))


def write_ddti(root):
    """Two pictures of the first patient, the second of which has two outlines; one picture of patient 10."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "1.xml").write_text(
        f"<case><number>1</number>{ddti_mark(1, SQUARE)}{ddti_mark(2, SQUARE, TRIANGLE)}</case>"
    )
    (root / "10.xml").write_text(f"<case><number>10</number>{ddti_mark(1, SQUARE)}</case>")
    for name in ("1_1", "1_2", "10_1"):
        write_picture(root / f"{name}.jpg", photograph())


def write_isic(root):
    mask = np.zeros((12, 10), np.uint8)
    mask[3:8, 2:7] = 255
    for name, folder, ending in (
        ("ISIC_0000000", "ISIC2018_Task1-2_Training_Input", "segmentation"),
        ("ISIC_0012255", "ISIC-2017_Validation_Data", "segmentation"),
        ("ISIC_0000003", "ISBI2016_ISIC_Part1_Test_Data", "Segmentation"),
    ):
        write_picture(root / folder / f"{name}.jpg", photograph())
        write_picture(root / folder.replace("Data", "GroundTruth") / f"{name}_{ending}.png", mask)
    write_picture(root / "ISIC-2017_Validation_Data" / "ISIC_0012255_superpixels.png", photograph())


NNUNET_JSON = {
    "channel_names": {"0": "T1", "1": "FLAIR"},
    "labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
    "numTraining": 2,
    "file_ending": ".nii.gz",
    "name": "Toy",
    "licence": "CC0",
}


def write_nnunet(root):
    for case, letters in (("toy_001", "Tr"), ("toy_002", "Tr"), ("toy_003", "Ts")):
        labels = blocks(1, 2, 3)
        for channel in (0, 1):
            write_nifti(root / f"images{letters}" / f"{case}_{channel:04d}.nii.gz", shown(labels, channel))
        write_nifti(root / f"labels{letters}" / f"{case}.nii.gz", labels)
    (root / "dataset.json").write_text(json.dumps(NNUNET_JSON))


def write_decathlon(root):
    """Two images of two channels in 4-D files, and what macOS leaves in the archives."""
    for name in ("toy_01", "toy_02"):
        labels = blocks(1, 2)
        write_nifti(root / "imagesTr" / f"{name}.nii.gz", np.stack([shown(labels, seed) for seed in (0, 1)]))
        write_nifti(root / "labelsTr" / f"{name}.nii.gz", labels)
        (root / "labelsTr" / f"._{name}.nii.gz").write_bytes(b"Mac OS X")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("toy_01", "toy_02")
    ]
    told = {
        "name": "TOY",
        "reference": "A hospital",
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "numTraining": 2,
        "training": training,
        "test": ["./imagesTs/toy_09.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(told))


def write_folder(root):
    for name in ("a", "b"):
        labels = blocks(1, 5)
        write_nifti(root / "images" / f"{name}.nii.gz", shown(labels))
        write_nifti(root / "labels" / f"{name}.nii.gz", labels)
    (root / "labels.json").write_text('{"1": "liver", "5": "spleen"}')


def write_manifest(root):
    """Two scans of one patient, one of another, in one table."""
    write_folder(root)
    (root / "cases.csv").write_text(
        "image,label,patient,split,name\n"
        "images/a.nii.gz,labels/a.nii.gz,p1,training,first\n"
        "images/b.nii.gz,labels/a.nii.gz,p1,training,second\n"
        "images/b.nii.gz,labels/b.nii.gz,p2,test,third\n"
    )


def write_cvpr2025(root):
    """Boxes are Python objects, as in the challenge's files."""
    root.mkdir(parents=True, exist_ok=True)
    labels = blocks(1, 2)
    np.savez_compressed(
        root / "CT_toy_0001.npz",
        imgs=shown(labels).astype(np.uint8),
        gts=labels,
        spacing=np.array(SPACING),
        boxes=np.array([{"z_min": 1, "z_max": 3}], dtype=object),
    )


WRITERS = {
    "btcv": write_btcv,
    "btcv-released": write_btcv_released,
    "refuge2": write_refuge2,
    "refuge2-released": write_refuge2_released,
    "brats": write_brats,
    "tnscui": write_tnscui,
    "ddti": write_ddti,
    "isic": write_isic,
    "nnunet": write_nnunet,
    "decathlon": write_decathlon,
    "cvpr2025": write_cvpr2025,
    "manifest": write_manifest,
    "folder": write_folder,
}

if __name__ == "__main__":
    for layout, write in WRITERS.items():
        write(Path(sys.argv[1]) / layout)
