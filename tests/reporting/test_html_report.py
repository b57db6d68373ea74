import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsam2.errors import FormatError
from medsam2.reporting import build_report, html_report, identified, object_statistics, write_html_report
from medsam2.reporting.object_pictures import MOST_OBJECTS
from medsam2.spatial import Geometry, SourceFile, Volume

NAMES = {1: "liver & <i>bile</i>", 4: "spleen", 2: "nothing"}
VOID = {"meta", "img", "br", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Reads a page, and checks that each element is closed."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(volume, result, **changes):
    report = build_report(result, volume, {"name": "starter"}, None, object_statistics(volume, result.segmentation))
    return Page(html_report({**report, **changes}, volume, result))


@pytest.fixture
def page(geometry, volume, labels, make_result):
    warnings = ("object 'nothing' was not found",)
    return page_of(volume, make_result(labels, geometry, NAMES, warnings=warnings))


def test_it_says_what_was_found_in_ml_and_mm(page):
    # 8 x 10 x 10 voxels of 2.5 cubic mm.
    assert "liver & <i>bile</i> 1 2.00 10.0 x 10.0 x 20.0 5..12 0.75 40.0 ± 0.0" in page.text
    assert "nothing 2 0.00 - not found - -" in page.text
    assert "object 'nothing' was not found" in page.text
    assert "window grey (0 to 100)" in page.text
    assert "not a medical device" in page.text
    assert "30 x 40 x 20 voxels of 1 x 1 x 2.5 mm" in page.text


def test_names_are_text_and_not_elements(page):
    assert page.all("i") == []
    assert page.all("b") == []


def test_pictures_are_in_the_file_and_nothing_else_is_loaded(page):
    images = page.all("img")
    assert len(images) == 4 + 4 + 1
    for one in images:
        kind, data = one["src"].split(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert (str(image.width), str(image.height)) == (one["width"], one["height"])
            assert image.info == {}
        assert one["alt"]
    assert not {"script", "link", "iframe", "object", "embed", "form", "a"} & {tag for tag, _ in page.elements}
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_no_address_leads_elsewhere(geometry, volume, labels, make_result):
    result = make_result(labels, geometry, NAMES)
    page = html_report(build_report(result, volume, {"name": "starter"}), volume, result)
    assert not re.search(r"https?:|url\(|@import", page)


def test_each_object_that_has_several_slices_has_a_plot(page):
    assert len(page.all("svg")) == 2
    assert "k = 8: 0.75" in page.text


def test_what_was_assumed_on_reading_is_a_warning(geometry, labels, make_result):
    source = SourceFile(Path("scan.nii.gz"), "nifti", notes=("The spacing was assumed.",))
    volume = Volume(np.full(geometry.shape, 40, np.int16), geometry, source)
    assert "The spacing was assumed." in page_of(volume, make_result(labels, geometry, NAMES)).text


def test_the_series_is_named_only_if_asked_for(geometry, volume, labels, make_result):
    from medsam2.io import DicomSeries

    header = DicomSeries("1.2.840.1", "1.2.840.2", "1.2.840.3", "CT", (), ())
    scan = replace(volume, source=SourceFile(Path("MUELLER"), "dicom", header))
    result = make_result(labels, geometry, NAMES)
    report = build_report(result, scan, {"name": "starter"})
    plain, named = html_report(report, scan, result), Page(html_report(identified(report, scan), scan, result)).text
    assert "1.2.840" not in plain
    assert "MUELLER" not in plain + named
    assert "Study UID 1.2.840.1 Series UID 1.2.840.2 Frame of reference UID 1.2.840.3" in named


def test_many_objects_and_none(make_result):
    geometry = Geometry((6, 64, 64), np.diag([1.0, 1.0, 3.0, 1.0]))
    labels = np.zeros(geometry.shape, np.uint8)
    count = MOST_OBJECTS + 2
    for label in range(1, count + 1):
        row, column = divmod(label - 1, 8)
        labels[2:4, row * 8 : row * 8 + 5, column * 8 : column * 8 + 5] = label
    volume = Volume(np.zeros(geometry.shape), geometry)
    page = page_of(volume, make_result(labels, geometry, {n: f"object {n}" for n in range(1, count + 1)}))
    assert len(page.all("section")) == MOST_OBJECTS
    assert "2 more objects are in the table only." in page.text
    assert page_of(volume, make_result(labels, geometry, {})).all("section") == []


def test_it_is_written_whole(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_html_report("<p>Läsion \udc80</p>", path)
    assert path.read_bytes() == "<p>Läsion &#56448;</p>".encode()
    with pytest.raises(FormatError, match="cannot be written"):
        write_html_report("", path / "inside-a-file.html")
