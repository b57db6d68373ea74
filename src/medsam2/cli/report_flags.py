"""The reports of a segmentation that a command line asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam2.cli.file_clashes import NamedFile
from medsam2.engine.volume_result import SegmentationResult
from medsam2.io.atomic import check_writable
from medsam2.prompts import ResolvedObject
from medsam2.reporting import (
    ObjectStatistics,
    html_report,
    identified,
    object_statistics,
    preview,
    write_html_report,
    write_preview,
    write_report,
)
from medsam2.spatial import Volume


@dataclass(frozen=True)
class ReportFlags:
    """What is to be written beside the label map.

    Attributes:
        json: the JSON report; None: none.
        html: the HTML report.
        preview: the picture.
        statistics: whether objects are measured; for the HTML report they are.
        identify: whether reports name the series by its UIDs.
    """

    json: Path | None
    html: Path | None
    preview: Path | None
    statistics: bool
    identify: bool

    @property
    def files(self) -> list[NamedFile]:
        """All files that will be written."""
        named = (("report", self.json), ("HTML report", self.html), ("preview", self.preview))
        return [(role, path) for role, path in named if path is not None]

    def check_writable(self) -> None:
        """Refuse reports that could not be written, before the work.

        Raises:
            FormatError: there is one.
        """
        for _, path in self.files:
            check_writable(path)

    def measured(self, volume: Volume, result: SegmentationResult) -> tuple[ObjectStatistics, ...] | None:
        """Measures of the objects, None if nobody wants them."""
        wanted = self.statistics or self.html is not None
        return object_statistics(volume, result.segmentation) if wanted else None

    def write(
        self,
        report: Mapping[str, Any],
        volume: Volume,
        result: SegmentationResult,
        prompts: Sequence[ResolvedObject],
    ) -> None:
        """Write what is asked for.

        Args:
            report: of `build_report`.
            volume: the scan.
            result: what was found.
            prompts: what was prompted, to be drawn.

        Raises:
            FormatError: a file cannot be written.
        """
        content = identified(report, volume) if self.identify else report
        if self.json is not None:
            write_report(content, self.json)
        if self.html is not None:
            write_html_report(html_report(content, volume, result, prompts), self.html)
        if self.preview is not None:
            write_preview(preview(volume, result, prompts), self.preview)
