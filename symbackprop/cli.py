"""The command line: thin, and quick to answer: SymPy and rich are imported by the commands that need them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from symbackprop.commands.costs import footprint_command, partition_command
from symbackprop.commands.equations import derive_command, hessian_command
from symbackprop.commands.kernels import check_command, generate_command
from symbackprop.commands.pictures import draw_command, models_command, report_command, serve_command, show_model
from symbackprop.commands.status import BAD_INPUT, DONE, INTERRUPTED
from symbackprop.errors import SymbackpropError
from symbackprop.flags import parse_arguments


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 a check failed, 2 bad input (one message, no traceback)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no λ gets a ?, not a traceback
    try:
        options = parse_arguments(arguments)
        command = show_model if getattr(options, "show_model", False) else _COMMANDS[options.command]
        status: int = command(options)
        sys.stdout.flush()
        return status
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except SymbackpropError as problem:
        return _refuse(str(problem))
    except BrokenPipeError:  # whoever read the output has seen enough; nothing may be flushed to it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT


_COMMANDS = {
    "derive": derive_command, "generate": generate_command, "check": check_command, "draw": draw_command,
    "footprint": footprint_command, "hessian": hessian_command, "models": models_command, "partition": partition_command,
    "report": report_command, "serve": serve_command,
}  # fmt: skip
