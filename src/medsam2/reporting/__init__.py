"""What users see of a result: statistics, the JSON report, the table and the picture."""

from medsam2.reporting.contact_sheet import ContactSheet
from medsam2.reporting.html_report import html_report, write_html_report
from medsam2.reporting.preview import preview, write_preview
from medsam2.reporting.report import build_report, identified, write_report
from medsam2.reporting.set_report import build_set_report, set_table, write_image_table
from medsam2.reporting.statistics import ObjectStatistics, object_statistics
from medsam2.reporting.table import result_table

__all__ = [
    "ContactSheet",
    "ObjectStatistics",
    "build_report",
    "build_set_report",
    "html_report",
    "identified",
    "object_statistics",
    "preview",
    "result_table",
    "set_table",
    "write_html_report",
    "write_image_table",
    "write_preview",
    "write_report",
]
