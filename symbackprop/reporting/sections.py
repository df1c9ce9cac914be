"""The parts of the page after the equations: the model, the graph, the kernel, what it costs, and the proof."""

from __future__ import annotations

from collections.abc import Callable

from symbackprop.api import Derivation, check
from symbackprop.checking.report import HEADINGS
from symbackprop.footprint import plot
from symbackprop.footprint.growth import Growth
from symbackprop.footprint.growth_report import LEGEND, GrowthReport
from symbackprop.footprint.report import Report
from symbackprop.kernels import equation_of_lines
from symbackprop.render.source import source
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer
from symbackprop.reporting.equations import forms, further_equations
from symbackprop.reporting.html import formula, paragraphs, sentence, table, text

Progress = Callable[[int, int, str], None]


def model(derivation: Derivation) -> str:
    """The model as it was written, and its tensors."""
    found = derivation.model
    writer = Writer(derivation.example)
    rows = []
    for leaf in derivation.example.graph.declarations:
        whole = "" if leaf.classes is None else f", whole numbers below {writer.text.number(leaf.classes)[0]}"
        name = formula(writer.latex.name(leaf.name, leaf.rank), writer.text.name(leaf.name))
        rows.append([name, text(leaf.kind + whole), text(writer.shape(leaf.shape))])
    sizes = [f"{writer.text.dimension(n)}{'' if size is None else f' = {size:,}'}" for n, size in found.dimensions.items()]
    tensors = table(["name", "kind", "shape"], rows, "What the model declares", words=(1, 2))
    size_line = f"<p>Sizes: {text(', '.join(sizes))}</p>" if sizes else ""
    written = text(found.source or source(found))
    return f'<pre class="source" tabindex="0" aria-label="the equations as they were written">{written}</pre>{size_line}{tensors}'


def graph(derivation: Derivation) -> str:
    """The computational graph with its gradients, in each form."""
    pictures = [
        (form, derivation.drawing(backward=True, batch_form=form == "batch").svg(f"{form}-")) for form in forms(derivation)
    ]
    return fill("html/graph.html.j2", pictures=pictures)


def kernel(derivation: Derivation) -> str:
    """The generated module, highlighted; each line knows its equation."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    code = derivation.source()
    names = equation_of_lines(code, derivation.batch)
    lexer, formatter = PythonLexer(stripnl=False), HtmlFormatter(nowrap=True, classprefix="k-")
    lines = highlight(code, lexer, formatter).split("\n")
    before = ["", *names]
    rows = [
        {
            "code": line or " ",
            "name": text(name),
            "first": bool(name) and before[k] != name,
            "start": code_line.startswith("def loss_and_grad("),
        }
        for k, (line, name, code_line) in enumerate(zip(lines, names, code.splitlines(), strict=False))
    ]
    return fill("html/kernel.html.j2", rows=rows, name=text(derivation.model.name))


def footprint(derivation: Derivation) -> str:
    """What training and prediction cost in memory and arithmetic."""
    report = Report(derivation.footprint(), {})
    inside = report.mathematics
    head, *rows = report.layer_table(inside)
    cells = [[formula(cell) for cell in row] for row in rows]
    cells[-1][0] = "total"
    layers = table(head, cells, "By layer", words=(6,), foot=True)
    memory = [[text(name), f"{count:,}"] for name, _, count in report.totals() if count is not None]
    polynomials = [
        [text(name), formula(report.polynomial(value, inside), report.polynomial(value, report.plain))]
        for name, value, _ in report.totals() if value is not None
    ]  # fmt: skip
    shown = f"<p>{text(report.dtype)}, {formula(report.sizes(inside), report.sizes())}</p>" + layers
    if memory:
        shown += table(["memory", "bytes"], memory, "In all")
    symbolic = table(["memory", "bytes"], polynomials, "float: the bytes of a float", words=(1,))
    shown += _folded("As polynomials in the sizes", symbolic)
    shown += paragraphs([text(line) for line in report.legend()] + [
        sentence(line) for line in report.sentences(inside, lambda x: f"${x}$" if x else "")
    ])  # fmt: skip
    if report.numbers is not None:
        picture = plot.svg(report.plot())
        caption = "Bytes in use, step by step, during one call of loss_and_grad"
        shown += f'<figure class="plot"><div class="wide">{picture}</div><figcaption>{caption}</figcaption></figure>'
    return shown


def proof(derivation: Derivation, seed: int, samples: int, progress: Progress | None) -> str:
    """The results of `check`."""
    report = check(derivation, seed=seed, samples=samples, progress=progress)
    rows = [[_mark(cell) if k == 5 else text(cell) for k, cell in enumerate(line.cells())] for line in report.lines]
    caption = "The kernel's gradients against routes that share no code with the rules"
    return f"<p><strong>{text(report.summary)}</strong></p>{table(HEADINGS, rows, caption, words=(1, 5, 6))}"


def second(derivation: Derivation) -> str:
    """The products of second derivatives, and what they cost beside a gradient."""
    products = derivation.products()
    report = GrowthReport(Growth(products.batch), {})
    inside = report.report.mathematics
    head, *rows = report.rows(inside)
    cells = [[text(row[0]), *map(formula, row[1:])] for row in rows]
    lines = [text(LEGEND)] + [sentence(line) for line in report.sentences(inside, lambda x: f"${x}$")]
    return (
        table(["", *head[1:]], cells, "From the forward pass to second derivatives") + paragraphs(lines)
        + _folded("The equations of a Hessian-vector product", further_equations(products))
    )  # fmt: skip


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{text(title)}</summary>{content}</details>"


def _mark(verdict: str) -> str:
    sign = {"pass": "✓ ", "FAIL": "✗ "}.get(verdict, "")
    return f'<span class="verdict {text(verdict.split()[0].lower())}">{sign}{text(verdict)}</span>'
