"""How a line is read: what binds more tightly, written twice, the second time with every bracket."""

from __future__ import annotations

import pytest

from tests.language.models import meaning, model

SAME = [
    # subscript and call, then ^T, ' and powers, then minus
    ("-s^2", "-(s^2)"),
    ("-u^T v", "-((u^T) v)"),
    ("exp(s)^2", "(exp(s))^2"),
    ("A[0, 1]^2", "(A[0, 1])^2"),
    ("A B^T", "A (B^T)"),
    ("A^T^T", "A"),
    ("A^2^T", "(A^2)^T"),
    ("A^T^2", "(A^T)^2"),
    ("A''", "A"),
    ("2^-s", "2^(-s)"),
    ("s^-2", "1/(s s)"),
    ("u.^2 ⊙ v", "(u.^2) ⊙ v"),
    ("--s", "s"),
    ("s - -r", "s + r"),
    # juxtaposition, *, @ and / together, left to right
    ("1/2 ||v||^2", "(1/2) (||v||^2)"),
    ("s / r u", "(s / r) u"),
    ("s / r / 2", "s / (2 r)"),
    ("s r / 2", "(s r) / 2"),
    ("u^T A v", "(u^T A) v"),
    ("-s r", "(-s) r"),
    ("s * -r", "-(s r)"),
    ("A * B @ D", "A B D"),
    ("3 relu(u)", "3 * relu(u)"),
    ("2s", "2 * s"),
    ("2(s)", "2 * s"),
    # ⊙ .* ./ after them
    ("D ⊙ A B", "D ⊙ (A B)"),
    ("A B ⊙ D", "(A B) ⊙ D"),
    ("A .* B ./ D", "(A .* B) ./ D"),
    # + and -, then comparisons
    ("A ⊙ B + D", "(A ⊙ B) + D"),
    ("s - r + 2", "(s - r) + 2"),
    ("s - (r + 2)", "s - r - 2"),
    ("s -2", "s - 2"),
    ("s + 1 > r", "(s + 1) > r"),
    # bars
    ("||u|| ||v||", "(||u||) (||v||)"),
    ("||  ||u|| v  ||", "||(||u||) v||"),
    ("||u - ||v|| u||", "||u - (||v||) u||"),
    ("||(||u||) v||_1", "||v (||u||)||_1"),
    ("s ||u||^2", "s (||u||^2)"),
    ("||u||_2", "||u||"),
    ("||A||_F", "||A||"),
    ("||A||_1", "sum(abs(A))"),
    ("||A||_inf", "max(abs(A))"),
    ("||s||", "abs(s)"),
    # powers of matrices
    ("A^-1", "inv(A)"),
    ("A^2", "A A"),
    ("A^3", "A A A"),
    ("A^(2)", "A A"),
    ("A^-T", "inv(A)^T"),
    # a name before ( that is no function is a factor
    ("A(B)", "A B"),
    ("s(r)", "s r"),
    ("s (r)", "s r"),
    ("A (B)", "A B"),
    # brackets with a comparison are 1 or 0
    ("[s > r]", "(s > r)"),
    ("[s > r] u", "(s > r) u"),
    ("√s r", "sqrt(s) r"),
    ("√(s r)", "sqrt(s r)"),
]


@pytest.mark.parametrize(("written", "bracketed"), SAME)
def test_a_line_is_read_as(written: str, bracketed: str) -> None:
    assert meaning(f"L = {written}") is meaning(f"L = {bracketed}")


DIFFERENT = [
    ("1/2 ||v||^2", "1/(2 ||v||^2)"),
    ("s / r u", "s / (r u^T u) u"),
    ("-s^2", "(-s)^2"),
    ("D ⊙ A B", "(D ⊙ A) B"),
    ("A B^T", "(A B)^T"),
    ("s - r + 2", "s - (r + 2)"),
    ("A^2", "A .^ 2"),
    ("A^-1", "1 ./ A"),
    ("A[0, 1]", "A[1, 0]"),
]


@pytest.mark.parametrize(("written", "other"), DIFFERENT)
def test_a_line_is_not_read_as(written: str, other: str) -> None:
    assert meaning(f"L = {written}") is not meaning(f"L = {other}")


LINES = [
    ("indentation continues a statement", "L = s\n    + r\n  - 2", "L = s + r - 2"),
    ("brackets continue it", "L = (s\n+ r\n)", "L = s + r"),
    ("a blank line and a comment do not end it", "L = s\n\n# aside\n  + r", "L = s + r"),
    ("a comment ends with its line", "L = s # + 5\n  + r", "L = s + r"),
    ("tabs are blanks", "L\t=\ts\n\t+ r", "L = s + r"),
    ("Windows lines", "L = s\r\n  + r\r\n", "L = s + r"),
    ("old Macintosh lines", "L = s\r  + r\r", "L = s + r"),
    ("NFC", "o\u0308 = s\nL = \u00f6", "ö = s\nL = ö"),
]


@pytest.mark.parametrize(("written", "plain"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_lines(written: str, plain: str) -> None:
    assert meaning(written) is meaning(plain)


def test_common_indentation_is_removed() -> None:
    plain = "dim d = 2\nparam w[d]\nz = sum(w)\n  + 1\nL = z^2\n"
    indented = "\n# a title out here\n" + "".join(f"        {line}\n" for line in plain.splitlines())
    assert [e.node for e in model(indented, "").graph.equations] == [e.node for e in model(plain, "").graph.equations]
    assert model(indented, "").title == "a title out here"


def test_a_byte_order_mark_is_no_character_of_the_text() -> None:
    assert model("\ufeffparam s[]\nL = s", "").objective is None
