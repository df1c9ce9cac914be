"""What a reader sees, for every built-in model. These files are read when they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import symbackprop as sb
from symbackprop.models import builtin_names
from symbackprop.render import source, typst
from symbackprop.render.typst_document import typst_part

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", builtin_names())
def test_the_derivation_of_a_built_in_model(name: str, golden: Golden) -> None:
    derivation = sb.derive(sb.builtin(name))
    golden(f"render/{name}.txt", derivation.text())
    golden(f"render/{name}.batch.txt", derivation.text(batch_form=True))
    golden(f"render/{name}.steps.txt", derivation.text(steps=True))
    golden(f"render/{name}.tex", derivation.latex())
    golden(f"render/{name}.typ", typst_part(derivation.example))


@pytest.mark.parametrize("notation", ["delta", "nabla"])
def test_notations(notation: str, golden: Golden) -> None:
    derivation = sb.derive(sb.builtin("mlp_classifier"))
    golden(f"render/mlp_classifier.{notation}.txt", derivation.text(notation=notation))
    golden(f"render/mlp_classifier.{notation}.tex", derivation.latex(notation=notation))
    golden(f"render/mlp_classifier.{notation}.typ", typst_part(derivation.example, notation=notation))


def test_formats(golden: Golden) -> None:
    derivation = sb.derive(sb.builtin("d2l_mlp"))
    golden("render/d2l_mlp.md", derivation.markdown())
    golden("render/d2l_mlp.steps.md", derivation.markdown(steps=True))
    golden("render/d2l_mlp.json", derivation.json())
    golden("render/d2l_mlp.steps.json", derivation.json(steps=True))
    golden("render/d2l_mlp.steps.tex", derivation.latex(steps=True, standalone=True))
    golden("render/d2l_mlp.steps.typ", typst(derivation.example, steps=True))
    golden("render/small_cnn.eq", source(sb.builtin("small_cnn")))
