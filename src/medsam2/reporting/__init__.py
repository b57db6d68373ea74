"""What users see of a result: statistics, the JSON report, the table and the picture."""

from medsam2.reporting.preview import preview, write_preview
from medsam2.reporting.report import build_report, write_report
from medsam2.reporting.statistics import ObjectStatistics, object_statistics
from medsam2.reporting.table import result_table

__all__ = [
    "ObjectStatistics",
    "build_report",
    "object_statistics",
    "preview",
    "result_table",
    "write_preview",
    "write_report",
]
