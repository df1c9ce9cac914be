"""Templates: they lay out finished, escaped strings, and decide nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

    package = Path(__file__).resolve().parent.parent
    folders = [package.parent / "templates", package / "templates"]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(folder) for folder in folders]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )


def fill(name: str, /, **values: Any) -> str:
    """Return a template with its places filled. The checkout's templates come before the installed ones."""
    return _environment().get_template(name).render(**values)


def verbatim(name: str) -> str:
    """Return the text of a file among the templates, as it stands."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
