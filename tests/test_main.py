"""`python -m medsam2` is the command."""

import subprocess
import sys

from medsam2 import __version__


def test_the_module_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "medsam2", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"medsam2 {__version__}\n"
