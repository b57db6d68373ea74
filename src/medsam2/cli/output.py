"""What a command says: results to stdout, everything else to stderr, no progress bar in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from medsam2.engine.volume_result import Progress as ProgressCallback


class Output:
    """Speaks to the user.

    Args:
        quiet: only warnings and errors.
        verbose: details too.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.results = Console(quiet=quiet)
        self.notes = Console(stderr=True, soft_wrap=True)

    def say(self, text: str) -> None:
        """A result."""
        self.results.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """A result in rows."""
        self.results.print(table)

    def detail(self, text: str) -> None:
        """Something that only --verbose wants to know."""
        if self.verbose and not self.quiet:
            self.notes.print(text, markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Something that the user must not miss."""
        self.notes.print(f"medsam2: warning: {text}", markup=False, highlight=False, style="yellow")

    @contextmanager
    def progress(self, title: str) -> Iterator[ProgressCallback]:
        """A progress bar on stderr, if somebody looks at it."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        silent = self.quiet or not self.notes.is_terminal
        with Progress(*columns, console=self.notes, disable=silent, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
