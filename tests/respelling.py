"""The same model in other words: its text is parsed, and printed again with every choice that does not change its mathematics.

Summands and factors stand in another order, ``A B`` is ``(B^T A^T)^T``, values and indices have other names, declarations
another order, signs are Unicode or ASCII; parts may be given names of their own (`Respelling.introduced`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from random import Random

from symbackprop.graph.build import leaf
from symbackprop.graph.names import Adjoint, parse_name
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.walk import substitute, topological
from symbackprop.language import syntax
from symbackprop.language.parser import parse_text
from symbackprop.language.vocabulary import RESERVED
from symbackprop.language.walk import walk

TURNED = {">=": "<=", "<=": ">=", ">": "<", "<": ">", "==": "==", "!=": "!="}


@dataclass
class Respelling:
    """A text drawn from ``random``; ``renamed`` gives, for each new name of a value, the old one."""

    random: Random
    introduce: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    introduced: list[str] = field(default_factory=list)

    def spell(self, text: str) -> str:
        module = parse_text(text)
        taken = {part.name for part in walk(module) if hasattr(part, "name")} | {"T"}
        letters = [letter for letter in "ijlrsuwvxyz" if letter not in taken and letter not in RESERVED]
        self._fresh = [f"{letter}{number}" for letter in "uvwfgk" for number in range(91, 99)]
        self._letters = letters
        self._names: dict[str, str] = {}
        self._values = {s.left for s in module.statements if isinstance(s, syntax.Assignment)}
        self._tensors = self._values | {
            name.name
            for statement in module.statements
            if isinstance(statement, syntax.Declaration) and statement.kind in ("input", "target", "param")
            for name in statement.names
        }
        self._indices: dict[str, str] = {}
        self.random.shuffle(self._fresh)
        first, declarations, lines, last = [], [], [], []
        for statement in module.statements:
            if isinstance(statement, syntax.Declaration):
                for name in statement.names:
                    line = f"{statement.kind} {self._declared(name)}"
                    (first if statement.kind in ("dim", "batch") else declarations).append(line)
            elif isinstance(statement, syntax.FunctionDefinition):
                body = "" if statement.body is None else f" = {self._any(statement.body, True)}"
                last.append(f"function {statement.name}({', '.join(statement.parameters)}){body}")
            elif isinstance(statement, syntax.Assignment):
                lines += self._assignment(statement)
            elif isinstance(statement, syntax.Minimize):
                ending = f"minimize {self._name(statement.name)}"
        self.random.shuffle(declarations)
        return "\n".join([*first, *declarations, *last, "", *lines, ending, ""])

    # ------------------------------------------------------------ names

    def _flip(self) -> bool:
        return self.random.random() < 0.5

    def _name(self, old: str) -> str:
        return self._indices.get(old) or self._names.get(old, old)

    def _declared(self, name: syntax.DeclaredName) -> str:
        text = name.name
        if name.axes or name.classes is None and name.default is None:
            text += f"[{', '.join(self._plain(size) for size in name.axes)}]"
        if name.classes is not None:
            text += f" in {self._plain(name.classes)}"
        return text + (f" = {self._plain(name.default)}" if name.default is not None else "")

    def _plain(self, tree: syntax.Expression) -> str:
        return self._any(tree, True)

    def _assignment(self, statement: syntax.Assignment) -> list[str]:
        self._indices, self._unused, self._before = {}, list(self._letters), []
        self.random.shuffle(self._unused)
        left = ""
        if statement.indices is not None:
            left = f"[{', '.join(self._index(index) for index in statement.indices)}]"
        right = self._any(statement.right, statement.indices is not None)
        name = statement.left
        if self._flip() and self._fresh:
            name = self._fresh.pop()
            self._names[statement.left], self.renamed[name] = name, statement.left
        return [*self._before, f"{name}{left} = {right}"]

    def _index(self, index: syntax.Index) -> str:
        if self._unused and (self._flip() or index.name in self._indices):
            self._indices[index.name] = self._unused.pop()
        extent = "" if index.extent is None else f" in {self._plain(index.extent)}"
        return self._indices.get(index.name, index.name) + extent

    # ------------------------------------------------------------ expressions

    def _any(self, tree: syntax.Expression, indexed: bool) -> str:
        """Write an expression, in brackets unless it is one word. ``indexed``: all its parts are scalars."""
        match tree:
            case syntax.Number():
                return _number(tree.value)
            case syntax.Constant() | syntax.Name():
                return self._name(tree.name)
            case syntax.Call():
                arguments = ", ".join(self._part(argument, indexed) for argument in tree.arguments)
                return f"{tree.function}{chr(39) * tree.order}({arguments})"
            case syntax.Subscript():
                return f"{self._any(tree.base, indexed)}[{', '.join(self._any(s, True) for s in tree.subscripts)}]"
            case syntax.Reduction():
                names = ", ".join(self._index(index) for index in self._shuffled(tree.indices))
                return f"{tree.kind}[{names}]({self._any(tree.body, True)})"
            case syntax.Sum():
                return self._sum(tree, indexed)
            case syntax.Product():
                return self._product(tree, indexed)
            case syntax.Elementwise():
                return self._elementwise(tree, indexed)
            case syntax.Negation():
                return f"(-{self._any(tree.operand, indexed)})"
            case syntax.Power():
                return self._power(tree, indexed)
            case syntax.Transpose():
                return f"{self._any(tree.operand, indexed)}{self.random.choice(['^T', 'ᵀ'])}"
            case syntax.Norm():
                suffix = f"_{tree.kind}" if tree.kind else ""
                bar = self.random.choice(["||", "‖"])
                return f"{bar}{self._part(tree.operand, indexed)}{bar}{suffix}"
            case syntax.Comparison():
                left, right = self._any(tree.left, indexed), self._any(tree.right, indexed)
                if self._flip():
                    left, right = right, left
                    return f"{left} {TURNED[tree.operator]} {right}"
                return f"{left} {tree.operator} {right}"
        raise AssertionError(f"no way to write {tree!r}")

    def _part(self, tree: syntax.Expression, indexed: bool) -> str:
        """Write a part, perhaps as a name of its own, which is defined before the equation."""
        written = self._any(tree, indexed)
        simple = isinstance(tree, syntax.Number | syntax.Constant | syntax.Name | syntax.Comparison | syntax.Transpose)
        names = {part.name for part in walk(tree) if isinstance(part, syntax.Name | syntax.Constant)}
        if not self.introduce or indexed or simple or "I" in names or not names & self._tensors or self._flip():
            return written
        name = self._fresh.pop()
        self.introduced.append(name)
        self._before.append(f"{name} = {written}")
        return name

    def _shuffled(self, items: tuple[syntax.Index, ...]) -> list[syntax.Index]:
        result = list(items)
        self.random.shuffle(result)
        return result

    def _sum(self, tree: syntax.Sum, indexed: bool) -> str:
        terms = list(tree.terms)
        self.random.shuffle(terms)
        text = ""
        for sign, term in terms:
            text += (" - " if sign < 0 else " + ") if text else ("-" if sign < 0 else "")
            text += self._part(term, indexed)
        return f"({text})"

    def _product(self, tree: syntax.Product, indexed: bool) -> str:
        factors = [self._any(factor, indexed) for factor in tree.factors]
        if "/" in tree.operators:
            text = factors[0]
            for operator, factor in zip(tree.operators, factors[1:], strict=True):
                text += f" {operator} {factor}"
            return f"({text})"
        if indexed:
            self.random.shuffle(factors)
            return f"({self.random.choice([' ', ' * '] if not _signed(factors) else [' * ']).join(factors)})"
        text = factors[0]
        for factor in factors[1:]:
            if self._flip() and "I" not in (text, factor):  # an I takes its size from its neighbour
                text = f"({factor}^T {text}^T)^T"
            else:
                text = f"({text} {self.random.choice(['*', '@', '·'])} {factor})"
        return text

    def _elementwise(self, tree: syntax.Elementwise, indexed: bool) -> str:
        factors = [self._any(factor, indexed) for factor in tree.factors]
        if "./" not in tree.operators:
            self.random.shuffle(factors)
        operators = [operator if operator == "./" else self.random.choice(["⊙", ".*"]) for operator in tree.operators]
        text = factors[0]
        for operator, factor in zip(operators, factors[1:], strict=True):
            text += f" {operator} {factor}"
        return f"({text})"

    def _power(self, tree: syntax.Power, indexed: bool) -> str:
        square = isinstance(tree.exponent, syntax.Number) and tree.exponent.value == 2
        if square and isinstance(tree.base, syntax.Norm) and tree.base.kind in ("", "F") and self._flip():
            inner = self._any(tree.base.operand, indexed)
            return self.random.choice([f"sum({inner} ⊙ {inner})", f"sum({inner}.^2)"])
        sign = ".^" if tree.elementwise else "^"
        exponent = self._any(tree.exponent, True)
        if isinstance(tree.exponent, syntax.Negation):
            exponent = f"-{self._any(tree.exponent.operand, True)}"
        return f"({self._any(tree.base, indexed)}{sign}{exponent})"


def _signed(factors: list[str]) -> bool:
    return any(factor.startswith(("-", "(")) for factor in factors)


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator) if value >= 0 else f"({value.numerator})"
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{exact:f}" if Fraction(exact) == value else f"({value.numerator}/{value.denominator})"


def undone(equations: dict[str, Node], renamed: dict[str, str]) -> dict[str, Node]:
    """Return right-hand sides by name with the old names of the values, in the equations and of them."""

    def old(name: str) -> str:
        parsed = parse_name(name)
        return Adjoint(old(parsed.of), old(parsed.by)).name if isinstance(parsed, Adjoint) else renamed.get(name, name)

    result = {}
    for name, node in equations.items():
        leaves = [part for part in topological([node]) if isinstance(part, Leaf)]
        result[old(name)] = substitute(node, {n: leaf(n.kind, old(n.name), n.shape, n.classes) for n in leaves})
    return result
