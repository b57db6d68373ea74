"""Writing files whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a draft to write in place of a file, and move it there once it is complete.

    The draft has the file's own name, in a temporary folder beside it: libraries choose their format by the suffix,
    and formats of two files put the name of one into the other. If writing fails, an older file stays as it was and
    nothing is left behind. Missing parent folders are made.

    Args:
        path: the file to write.

    Yields:
        The draft's path.

    Raises:
        OSError: the file or its folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".medsam2-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        yield draft
        # The named file goes last: once it is there, the data files it may refer to are there, too.
        for file in sorted(Path(folder).iterdir(), key=lambda file: file == draft):
            file.replace(path.parent / file.name)
