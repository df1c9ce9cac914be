"""Running programs with several workers in tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="mpi4py is missing: pip install 'symbackprop[mpi]'")

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
if MPIEXEC is None:
    pytest.skip("mpiexec is missing: pip install 'symbackprop[mpi]'", allow_module_level=True)


def run_workers(count: int, arguments: Sequence[str | Path], seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a Python program with so many workers, each on one thread."""
    assert MPIEXEC is not None
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [MPIEXEC, "-n", str(count), sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
