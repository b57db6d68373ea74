"""Where a scan comes from and a result goes to: files, or a PACS."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medsam2.cli.output import Output
from medsam2.errors import ConfigurationError, FormatError
from medsam2.io import LabelFormat, open_pacs, read_volume
from medsam2.io.label_formats import label_format
from medsam2.io.selection import ChoiceNeededError
from medsam2.spatial import Volume

if TYPE_CHECKING:
    from medsam2.io.dicomweb import Pacs

STORABLE = (LabelFormat.DICOM_SEG, LabelFormat.RTSTRUCT)


def end_cleanly() -> None:
    """Take a request to end (SIGTERM) for an interruption: images of a patient do not stay in the temporary folder."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@dataclass(frozen=True)
class ScanFlags:
    """The scan and the output as they were typed.

    Attributes:
        input: file, folder or zip; None: the scan is in the PACS.
        output: file to write.
        as_format: of the output; None: what its suffix says.
        volume_index: which volume of several.
        series: which DICOM series.
        dicomweb: URL of the PACS, None if there is none.
        study: UID of the series' study in the PACS.
        store: the result goes to the PACS, too.
        timeout: seconds that the PACS may be silent.
    """

    input: Path | None
    output: Path
    as_format: LabelFormat | None
    volume_index: int | None
    series: str | None
    dicomweb: str | None
    study: str | None
    store: bool
    timeout: float

    def __post_init__(self) -> None:
        if self.input is None and self.dicomweb is None:
            raise ConfigurationError("no scan was given; name a file with --input, or a PACS with --dicomweb")
        if self.input is not None and self.dicomweb is not None and not self.store:
            raise ConfigurationError("--input and --dicomweb both name a scan; expected one of them, or --store")
        if self.dicomweb is None and (self.store or self.study is not None):
            raise ConfigurationError(f"{'--store' if self.store else '--study'} needs the PACS's URL, --dicomweb")
        if self.input is None and self.series is None:
            raise ConfigurationError("--dicomweb needs --series, the UID of the series to segment")
        if self.store and label_format(self.output, self.as_format) not in STORABLE:
            raise ConfigurationError(
                f"{self.output} is no DICOM, and --store takes nothing else; expected a name that ends in .dcm"
            )

    def pacs(self) -> "Pacs | None":
        """The PACS to speak to.

        Raises:
            ConfigurationError: the URL or the credentials cannot be meant.
            MissingDependencyError: its packages are not installed.
        """
        return None if self.dicomweb is None else open_pacs(self.dicomweb, self.timeout)

    def read(self, pacs: "Pacs | None", out: Output) -> Volume:
        """The scan; what the user should know of it is told.

        Raises:
            FormatError: it cannot be read, or the PACS does not answer as it should.
            InputError: there is no such series or volume.
        """
        for note in pacs.notes if pacs is not None else ():
            out.warn(note)
        try:
            if self.input is not None or pacs is None:
                return read_told(self.input or Path(), out, self.volume_index, self.series)
            return _told(pacs.read(self.series or "", self.study, self.volume_index), out)
        except ChoiceNeededError as error:
            raise FormatError(f"{error} The flag is --{error.parameter.replace('_', '-')}.") from error


def read_told(path: Path, out: Output, volume_index: int | None = None, series: str | None = None) -> Volume:
    """A scan; what was assumed or left out on reading it is told.

    Args:
        path: file, folder or zip.
        out: told of it.
        volume_index: which volume of several.
        series: which DICOM series.

    Raises:
        FormatError: it cannot be read.
        InputError: there is no such series or volume.
    """
    return _told(read_volume(path, volume_index, series), out)


def _told(volume: Volume, out: Output) -> Volume:
    for note in volume.source.notes if volume.source is not None else ():
        out.warn(note)
    return volume
