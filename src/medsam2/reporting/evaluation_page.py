"""One page of HTML that holds all that it shows: tables, plots and pictures; it prints in black on white."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from medsam2.errors import FormatError
from medsam2.files import written_whole

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --ground: #fff; --dot: #1769aa;
        --box: #cfe3f3; --mark: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --soft: #9aa4ae; --line: #3a424b; --ground: #14171b;
        --dot: #6bb3ea; --box: #22384a; --mark: #f0a04b; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --ground: #fff; --dot: #1769aa;
        --box: #dcebf7; --mark: #b45309; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 2rem auto;
       max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; break-after: avoid; }
p { margin: .4rem 0; } .note { color: var(--soft); font-size: .87rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; font-size: .9rem; }
th, td { padding: .22rem .7rem .22rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; } td { white-space: pre; }
td:first-child { white-space: normal; overflow-wrap: anywhere; } tr { break-inside: avoid; }
tr.minor td { color: var(--soft); } tr.minor td:first-child { padding-left: 1.2rem; }
table.facts td:first-child { white-space: nowrap; padding-right: 1.2rem; }
table.facts td:last-child { text-align: left; white-space: normal; overflow-wrap: anywhere; }
figure { margin: .8rem 0; break-inside: avoid; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
svg { width: 100%; height: auto; max-width: 47.5rem; display: block; }
svg .axis { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .grid { stroke: var(--line); stroke-width: 1; }
svg .dot { fill: var(--dot); fill-opacity: .62; } svg .quartiles { fill: var(--box); }
svg .median { stroke: var(--ink); stroke-width: 2; } svg .mark { fill: none; stroke: var(--mark); stroke-width: 1.8; }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 1rem; }
.cases figure { margin: 0; } .cases img { width: 100%; height: 13.5rem; object-fit: contain; background: #0d0f12;
       display: block; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""


@dataclass(frozen=True)
class PageTable:
    """A table.

    Attributes:
        headings: of its columns.
        rows: their cells; the first names the row.
        minor: numbers of the rows that only accompany the one above them.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    minor: frozenset[int] = frozenset()

    def to_html(self) -> str:
        """The `<table>` element."""
        head = "".join(f"<th>{escape(one)}</th>" for one in self.headings)
        body = "".join(
            f"<tr{' class=minor' if number in self.minor else ''}>{_cells(row)}</tr>\n"
            for number, row in enumerate(self.rows)
        )
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


@dataclass(frozen=True)
class Facts:
    """Names and what they are, a pair a row."""

    pairs: Sequence[tuple[str, str]]

    def to_html(self) -> str:
        """The `<table>` element."""
        rows = "".join(f"<tr>{_cells(pair)}</tr>\n" for pair in self.pairs)
        return f'<table class="facts"><tbody>{rows}</tbody></table>'


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        caption: what it shows.
        svg: an `<svg>` element.
    """

    caption: str
    svg: str

    def to_html(self) -> str:
        """The `<figure>` element."""
        return f"<figure><figcaption>{escape(self.caption)}</figcaption>{self.svg}</figure>"


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side.

    Attributes:
        shown: the caption of each, and its PNG file.
    """

    shown: Sequence[tuple[str, bytes]]

    def to_html(self) -> str:
        """The pictures, with their bytes in the page."""
        figures = "".join(
            f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{b64encode(png).decode()}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>\n"
            for caption, png in self.shown
        )
        return f'<div class="cases">{figures}</div>'


Block = PageTable | Facts | Figure | Pictures


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        blocks: what it holds.
        note: small print above them.
    """

    title: str
    blocks: Sequence[Block]
    note: str = ""


def page_of(title: str, introduction: str, sections: Iterable[Section]) -> str:
    """The page, a whole HTML document that loads nothing.

    Args:
        title: its heading.
        introduction: a sentence below it.
        sections: in their order.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(introduction)}</p>",
    ]
    for section in sections:
        parts.append(f"<section><h2>{escape(section.title)}</h2>")
        if section.note:
            parts.append(f'<p class="note">{escape(section.note)}</p>')
        parts += [block.to_html() for block in section.blocks]
        parts.append("</section>")
    return "\n".join([*parts, "</body></html>", ""])


def write_page(text: str, path: Path) -> None:
    """Write a page, whole or not at all.

    Raises:
        FormatError: it cannot be written.
    """
    try:
        with written_whole(path) as draft:
            draft.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")  # names of files need be no UTF-8
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror})") from error


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in row)
