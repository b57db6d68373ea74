from html.parser import HTMLParser

import pytest

from medsam2.errors import FormatError
from medsam2.reporting.evaluation_page import Facts, Figure, PageTable, Pictures, Section, page_of, write_page

VOID = {"meta", "img", "rect", "line", "circle"}


class Reader(HTMLParser):
    """Tells elements, texts, and whether every element is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page():
    return page_of(
        "Evaluation of <b>",
        "3 cases & more",
        [
            Section("Tables", [PageTable(("a", "b"), [("x<y", "1"), ("z", "2")], frozenset({1})), Facts([("k", "v")])]),
            Section("Plots", [Figure("caption", "<svg></svg>")], "a note"),
            Section("Pictures", [Pictures([('slice "3"', b"\x89PNG")])]),
        ],
    )


def test_the_page_is_whole_and_says_what_it_was_given():
    read = Reader(page())
    assert read.open == []
    assert {"Evaluation of <b>", "3 cases & more", "x<y", "a note", "caption", 'slice "3"'} <= set(read.texts)
    assert [attrs for tag, attrs in read.seen if tag == "tr"][2] == {"class": "minor"}


def test_nothing_is_loaded_from_elsewhere():
    read = Reader(page())
    assert not {"script", "link", "iframe"} & {tag for tag, _ in read.seen}
    assert [attrs["src"] for tag, attrs in read.seen if tag == "img"] == ["data:image/png;base64,iVBORw=="]
    assert "url(" not in page()
    assert "@import" not in page()
    assert "@media print" in page()


def test_it_is_written_whole(tmp_path):
    write_page(page(), tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page()
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"page\.html: cannot be written"):
        write_page(page(), tmp_path / "file" / "page.html")
