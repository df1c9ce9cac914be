"""Bad input, whatever it is: one message that says what and where, exit status 2, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import symbackprop
from symbackprop.cli import run

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.timeout(20)  # each takes well under 2 s; this only stops what hangs

HEAD = "dim h = 4\ninput x[h]\nparam W[h, h], u[h], s[]\nhyper lambda = 1\n"
TAIL = "\nminimize L\n"


def right_side(text: str) -> bytes:
    return (HEAD + f"L = {text}" + TAIL).encode("utf-8", errors="surrogatepass")


def equation(text: str) -> bytes:
    return (HEAD + text + "\n").encode()


DIGITS = "1234567890" * 500
BOM = b"\xef\xbb\xbf"

TEXTS: dict[str, tuple[bytes, int, int, str]] = {
    # what it is: the file, the line and column of the message, words of it
    "a Python call": (right_side('__import__("os").system("touch pwned")'), 5, 5, "'_' means nothing here"),
    "an attribute": (right_side("().__class__"), 5, 7, "'.' means nothing here"),
    "a lambda": (right_side("lambda: 1"), 5, 11, "':' means nothing here"),
    "opening a file": (right_side('open("/etc/passwd")'), 5, 10, "means nothing here"),
    "a call without quotes": (right_side("eval(s)"), 5, 5, "there is no function eval"),
    "a tower of powers": (right_side("9**9**9"), 5, 6, "** is no sign"),
    "a tower of ^": (right_side("x^9^9^9"), 5, 8, "two ways"),
    "a tower in brackets": (right_side("9^(9^(9^9))"), 5, 8, "too many digits"),
    "a power of a power": (right_side("((s 9^999)^999)^999"), 5, 9, "too many digits"),
    "a huge factorial": (right_side("factorial(10^7)"), 5, 5, "there is no function factorial"),
    "a huge exponent": (right_side("1e9999999 s"), 5, 5, "too large or too small"),
    "a tiny number": (right_side("1e-9999999 s"), 5, 5, "too large or too small"),
    "a 5,000-digit integer": (right_side(DIGITS), 5, 5, "too long"),
    "5,000 decimals": (right_side(f"0.{DIGITS} s"), 5, 5, "too long"),
    "a product of large numbers": (right_side("1e250 * " * 40 + "s"), 5, 13, "too many digits"),
    "a power with 5,000 digits": (right_side("9^5000 s"), 5, 5, "too many digits"),
    "100,000 open parentheses": (right_side("(" * 100_000), 5, 205, "nested more than 200 deep"),
    "100,000 parentheses": (right_side("(" * 100_000 + "s" + ")" * 100_000), 5, 205, "nested more than 200 deep"),
    "100,000 brackets": (right_side("[" * 100_000), 5, 205, "nested more than 200 deep"),
    "100,000 bars": (right_side("||" * 100_000), 5, 405, "nested more than 200 deep"),
    "100,000 minus signs": (right_side("-" * 100_000 + "s"), 5, 10_003, "more than 10000 words and signs"),
    "9,000 minus signs and nothing": (right_side("-" * 9_000), 5, 9_005, "ends too early"),
    "a 100,000-term sum": (right_side("s + " * 100_000 + "s"), 5, 20_001, "more than 10000 words and signs"),
    "a 100,000-factor product": (right_side("s " * 100_000), 5, 20_001, "more than 10000 words and signs"),
    "9,000 primes": (right_side("relu" + "'" * 9_000 + "(s)"), 5, 5, "more than 8 primes"),
    "4,000 powers": (right_side("W" + "^2^T" * 2_000), 5, 7_607, "nested more than 200 deep"),
    "a sum nested 1,000 deep": (right_side("1 + 2 * -(" * 1_000 + "s" + ")" * 1_000), 5, 2_014, "nested more than 200 deep"),
    "functions nested 201 deep": (right_side("exp(" * 201 + "s" + ")" * 201), 5, 808, "nested more than 200 deep"),
    "a 10 MB comment": (equation("#" + "x" * 10_000_000), 1, 1, "more than 5000000 bytes"),
    "a 10 MB file of equations": (equation("z = s\n" * 1_700_000), 1, 1, "more than 5000000 bytes"),
    "a line of 4 MB": (right_side("s" * 4_000_000), 5, 5, "more than 100 characters"),
    "a dimension of 0": (b"dim d = 0\n", 1, 9, "the size of d is 0"),
    "a dimension of -1": (b"dim d = -1\n", 1, 9, "the size of d is -1"),
    "a dimension of 1.5": (b"dim d = 1.5\n", 1, 9, "the size of d is 3/2"),
    "a dimension of nan": (b"dim d = nan\n", 1, 9, "a number is needed"),
    "a dimension of inf": (b"dim d = inf\n", 1, 9, "a number is needed"),
    "a dimension of 2^80": (b"dim d = 2^80\n", 1, 9, "a number is needed"),
    "2^80 written out": (b"dim d = 1208925819614629174706176\n", 1, 9, "the size of d is 1208925819614629174706176"),
    "a size of 1e300": (b"dim d = 1e300\n", 1, 9, "the size of d is 1000"),
    "a definition by itself": (right_side("L + 1"), 5, 5, "L is defined by itself"),
    "a cycle": (equation("a = b\nb = a"), 5, 5, "b is not defined"),
    "a function by itself": (equation("function f(u) = f(u)"), 5, 17, "f is defined by itself"),
    "functions of each other": (equation("function f(u) = g(u)\nfunction g(u) = f(u)"), 5, 17, "g is not defined"),
    "a name before it is defined": (equation("L = t\nt = s"), 5, 5, "t is not defined"),
    "a name twice defined": (equation("L = s\nL = 2 s"), 6, 1, "L is defined twice"),
    "a name never used": (b"param w[2]\nparam v[2]\nL = ||w||^2\nminimize L\n", 2, 7, "v is never used"),
    "a name twice declared": (equation("param u[h]"), 5, 7, "u is defined twice"),
    "a NUL byte": (b"dim d = 3\n\0", 2, 1, "U+0000"),
    "a NUL byte in a comment": (b"# a\0b\n", 1, 4, "U+0000"),
    "an escape sequence": (b"# \x1b[2Jgone\n", 1, 3, "U+001B"),
    "invalid UTF-8": (b"dim d = 3\nL = \xc3(\n", 2, 5, "0xc3 is not UTF-8"),
    "a UTF-16 file": ("dim d = 3\n".encode("utf-16"), 1, 1, "is not UTF-8"),
    "a surrogate": (right_side("\ud800"), 5, 5, "is not UTF-8"),
    "a Greek A that looks Latin": (equation("\u0391 = s"), 5, 1, "looks like the Latin A"),
    "a Cyrillic a": (equation("\u0430 = s"), 5, 1, "neither Latin nor Greek"),
    "a mathematical bold A": (equation("\U0001d400 = s"), 5, 1, "neither Latin nor Greek"),
    "a fullwidth A": (equation("\uff21 = s"), 5, 1, "neither Latin nor Greek"),
    "a right-to-left override": (right_side("s \u202e+ 1"), 5, 7, "U+202E"),
    "a right-to-left isolate in a comment": (equation("# \u2067admin"), 5, 3, "U+2067"),
    "a zero-width joiner": (right_side("s\u200d"), 5, 6, "U+200D"),
    "a second byte order mark": (BOM + BOM + b"dim d = 3\n", 1, 1, "U+FEFF"),
    "a private character": (right_side("\ue000"), 5, 5, "U+E000"),
    "an Arabic digit": (right_side("\u0663 s"), 5, 5, "U+0663"),
    "TeX input": (equation("\\input{/etc/passwd}"), 5, 1, "means nothing here"),
    "TeX write18": (equation("\\write18{ls}"), 5, 1, "means nothing here"),
    "TeX def": (equation("\\def\\x{1}"), 5, 1, "means nothing here"),
    "TeX catcode": (right_side("s \\catcode"), 5, 7, "means nothing here"),
    "a trailing operator": (equation("L = s +"), 5, 8, "ends too early"),
    "a trailing operator before a statement": (equation("L = s +\nM = s"), 5, 8, "ends too early"),
    "an unclosed parenthesis": (equation("L = (s\nM = s"), 5, 5, "never closed"),
    "an unclosed brace": (equation("L = {s"), 5, 5, "means nothing here"),
    "an unclosed subscript": (equation("L = u[0"), 5, 6, "never closed"),
    "an unclosed norm": (equation("L = ||u"), 5, 5, "never closed"),
    "something behind the end": (equation("L = s ) M"), 5, 7, "closes nothing"),
    "a script": (equation("<script>alert(1)</script> = s"), 5, 1, "cannot begin a statement"),
    "an svg": (equation('"><svg onload=alert(1)> = s'), 5, 1, "means nothing here"),
    "a name with a quote": (equation("a'b = s"), 5, 1, "cannot begin a statement"),
    "a name with a semicolon": (equation("a;b = s"), 5, 2, "means nothing here"),
    "a template": (equation("{{7*7}} = s"), 5, 1, "means nothing here"),
    "a template statement": (equation("L = {% include 'x' %}"), 5, 5, "means nothing here"),
    "an empty file": (b"", 1, 1, "the model has no equation"),
    "declarations only": (HEAD.encode(), 5, 1, "the model has no equation"),
    "another file": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 1, 1, "0x89 is not UTF-8"),
    "a shape that does not fit": (right_side("sum(W + u)"), 5, 13, "the shapes differ"),
    "an objective that is no scalar": (equation("L = u\nminimize L"), 6, 10, "a scalar is needed"),
    "an index that leaves its axis": (right_side("u[4]"), 5, 7, "leaves its axis of size h (4)"),
}

COMMANDS: list[list[str]] = [
    ["derive", "{}"],
    ["derive", "{}", "-o", "out.tex"],
    ["generate", "{}", "-o", "out.py"],
    ["check", "{}"],
]


def refused(capsys: Capture, arguments: list[str], folder: Path) -> str:
    """Run a command that must refuse; return its message."""
    before = contents(folder)
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("error: ") == 1
    assert "Traceback" not in printed.err
    assert all(character.isprintable() or character == "\n" for character in printed.err)
    assert max(map(len, printed.err.splitlines())) < 400
    assert contents(folder) == before
    return printed.err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder within a folder, so that what is written outside is noticed."""
    inner = tmp_path / "outside" / "inside"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return inner


def assert_places(message: str, name: str, content: bytes, line: int, column: int, words: str) -> None:
    first, *rest = message.splitlines()
    assert first.startswith(f"error: {name}:{line}:{column}: ") and words in first
    lines = content.decode("utf-8", errors="replace").removeprefix("\ufeff").split("\n")
    if len(content) < 5_000_000 and line <= len(lines) and lines[line - 1].strip():
        shown, caret = rest[0], rest[1]
        assert re.fullmatch(r" +\^+", caret)
        assert len(shown) <= 120


@pytest.mark.parametrize("what", TEXTS)
def test_a_bad_text_is_refused(what: str, folder: Path, capsys: Capture) -> None:
    content, line, column, words = TEXTS[what]
    (folder / "bad.eq").write_bytes(content)
    command = COMMANDS[list(TEXTS).index(what) % len(COMMANDS)]
    message = refused(capsys, [argument.format("bad.eq") for argument in command], folder)
    assert_places(message, "bad.eq", content, line, column, words)


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command) for command in COMMANDS])
def test_every_command_refuses_alike(command: list[str], folder: Path, capsys: Capture) -> None:
    content, line, column, words = TEXTS["a Python call"]
    (folder / "bad.eq").write_bytes(content)
    message = refused(capsys, [argument.format("bad.eq") for argument in command], folder)
    assert_places(message, "bad.eq", content, line, column, words)


SUBPROCESS = ["a Python call", "invalid UTF-8", "100,000 parentheses", "a script", "a sum nested 1,000 deep"]


@pytest.mark.parametrize("what", SUBPROCESS)
def test_a_process_of_its_own_refuses_too(what: str, folder: Path) -> None:
    content, line, column, words = TEXTS[what]
    environment = {**os.environ, "PYTHONPATH": str(Path(symbackprop.__file__).parent.parent), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "symbackprop", "generate", "-", "-o", "out.py"], input=content, env=environment, capture_output=True
    )
    assert (done.returncode, done.stdout, list(folder.iterdir())) == (2, b"", [])
    assert_places(done.stderr.decode(), "<standard input>", content, line, column, words)


def test_an_existing_output_stays_as_it_was(folder: Path, capsys: Capture) -> None:
    (folder / "bad.eq").write_bytes(TEXTS["a trailing operator"][0])
    (folder / "out.py").write_text("precious", encoding="utf-8")
    refused(capsys, ["generate", "bad.eq", "-o", "out.py"], folder)
    refused(capsys, ["generate", "bad.eq", "-o", "out.py", "--force"], folder)


# ---------------------------------------------------------------- flags

INJECTION = '__import__("os").system("touch pwned")'
FLAGS: list[list[str]] = [
    ["--activation", INJECTION],
    ["--loss", INJECTION],
    ["--regularizer", INJECTION],
    ["--output-activation", INJECTION],
    ["--activation", "().__class__"],
    ["--activation", "lambda u: u"],
    ["--activation", "open('/etc/passwd')"],
    ["--activation", "9**9**9"],
    ["--activation", "u^9^9^9"],
    ["--activation", "u 9^(9^9)"],
    ["--activation", "u + 1e9999999"],
    ["--activation", "u" + " + u" * 20_000],
    ["--activation", "(" * 100_000 + "u"],
    ["--activation", "exp(" * 500 + "u" + ")" * 500],
    ["--activation", "-" * 100_000 + "u"],
    ["--activation", "u +"],
    ["--activation", "u = 1"],
    ["--activation", "u\nminimize W1"],
    ["--activation", "u) + (u"],
    ["--activation", "u; import os"],
    ["--activation", "u\0"],
    ["--activation", "u\u202e"],
    ["--activation", "\u0430"],
    ["--activation", "\\input{x}"],
    ["--activation", "<script>"],
    ["--activation", "{{7*7}}"],
    ["--activation", ""],
    ["--activation", "nonsense"],
    ["--activation", "relu(u, u)"],
    ["--activation", "u[0]"],
    ["--loss", "o - zz[0]"],
    ["--loss", "o y y'"],
    ["--loss", ""],
    ["--regularizer", "w +"],
    ["--regularizer", "nonsense"],
    ["--layers", INJECTION],
    ["--layers", ""],
    ["--layers", "784"],
    ["--layers", "784,0,10"],
    ["--layers", "784,-1,10"],
    ["--layers", "784,1.5,10"],
    ["--layers", "784,nan,10"],
    ["--layers", "784,1e3,10"],
    ["--layers", f"784,{2**80},10"],
    ["--layers", "784," + "9" * 5_000],
    ["--layers", "784,٣,10"],
    ["--layers", "784;10"],
    ["--bias", "yes"],
    ["--bias", "1,0"],
    ["--bias", INJECTION],
    ["--bias", ""],
    ["--batch", "0"],
    ["--batch", "-1"],
    ["--batch", "1.5"],
    ["--batch", "9" * 5_000],
    ["--regularizer", "l2", "--hyper", "lambda"],
    ["--regularizer", "l2", "--hyper", "lambda="],
    ["--regularizer", "l2", "--hyper", f"lambda={INJECTION}"],
    ["--regularizer", "l2", "--hyper", "lambda=1\nminimize W1"],
    ["--regularizer", "l2", "--hyper", "lambda=1, mu = 2"],
    ["--regularizer", "l2", "--hyper", "lambda=1 # more"],
    ["--regularizer", "l2", "--hyper", "lambda=nan"],
    ["--regularizer", "l2", "--hyper", "lambda=1e9999999"],
    ["--regularizer", "l2", "--hyper", "lambda=" + "9" * 5_000],
    ["--regularizer", "l2", "--hyper", "no such name=1"],
    ["--regularizer", "l2", "--hyper", "nu=1"],
]


@pytest.mark.parametrize("flags", FLAGS, ids=[" ".join(flags)[:60].encode("unicode_escape").decode() for flags in FLAGS])
def test_a_bad_flag_is_refused(flags: list[str], folder: Path, capsys: Capture) -> None:
    message = refused(capsys, ["generate", "mlp", "-o", "out.py", "--layers", "3,4,4,2", *flags], folder)
    assert message.strip() != "error:"


OUTPUTS = ["../out.py", "a/../../out.py", "..", "a\0b.py", "x" * 300 + ".py", "x" * 5_000, ".", "/dev/full/x.py"]


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output[:20].encode("unicode_escape").decode())
def test_a_bad_output_name_is_refused(output: str, folder: Path, capsys: Capture) -> None:
    refused(capsys, ["generate", "ridge_regression", "-o", output], folder)
    assert [path.name for path in folder.parent.iterdir()] == ["inside"] and not any(folder.iterdir())


# ---------------------------------------------------------------- hostile, and not wrong

MARKUP = (
    r'# <script>alert(1)</script> "><svg onload=x> \input{/etc/passwd} \write18{ls} {{7*7}} {% raw %} '
    r"$x$ `ls` [a](javascript:x) --> %"
)
HOSTILE = f"{MARKUP}\ndim d = 2\nparam w[d]\nL = ||w||^2\nminimize L\n"
FORBIDDEN: dict[str, Callable[[str], bool]] = {
    "latex": lambda text: re.search(r"\\(input|write|def|catcode)(?![a-z])", _without_comments(text)) is not None,
    "markdown": lambda text: re.search(r"(?<!\\)<(script|svg)|(?<!\\)\]\(", text) is not None,
}


def _without_comments(latex: str) -> str:
    return "\n".join(re.sub(r"(?<!\\)%.*", "", line) for line in latex.splitlines())


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "json"])
def test_markup_in_a_title_is_text(form: str, folder: Path, capsys: Capture) -> None:
    (folder / "m.eq").write_text(HOSTILE, encoding="utf-8")
    assert run(["derive", "m.eq", "--format", form, *(["--standalone"] if form == "latex" else [])]) == 0
    printed = capsys.readouterr().out
    assert "7*7" in printed.replace("\\*", "*") and "49" not in printed  # what looks like a template stays as it is
    assert not FORBIDDEN.get(form, lambda text: False)(printed)
    if form == "json":
        assert MARKUP.lstrip("# ") in json.dumps(json.loads(printed), ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')


def test_markup_in_a_title_is_text_in_a_kernel_too(folder: Path) -> None:
    (folder / "m.eq").write_text(HOSTILE.replace("{%", '""" \'\'\' \\N{BELL} {%'), encoding="utf-8")
    assert run(["generate", "m.eq", "-o", "m.py"]) == 0
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import m"], cwd=folder, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"alert(1)" in (folder / "m.py").read_bytes()


@pytest.mark.parametrize("name", ['a"b', "a;b", "a'b", "a b", "<script>", "class", "1", "{{7*7}}", "λ", "a\nb"])
def test_any_file_name_makes_a_module(name: str, folder: Path, capsys: Capture) -> None:
    (folder / f"{name}.eq").write_text(HOSTILE, encoding="utf-8")
    assert run(["generate", f"{name}.eq"]) == 0
    (module,) = (folder / "generated").iterdir()
    assert re.fullmatch(r"[A-Za-z_]\w*\.py", module.name, flags=re.ASCII)
    done = subprocess.run([sys.executable, "-W", "error", str(module)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_never_used_is_a_warning_and_not_an_error(folder: Path, capsys: Capture) -> None:
    (folder / "m.eq").write_text("param s[]\nt = 2 s\nL = s\nminimize L\n", encoding="utf-8")
    assert run(["derive", "m.eq"]) == 0
    assert capsys.readouterr().err == "warning: m.eq:2:1: t is never used\n"


@pytest.mark.timeout(200)  # not refused, and not small
def test_a_chain_of_5000_layers_is_not_bad_input() -> None:
    layers = "".join(f"a{k} = tanh(a{k - 1})\n" for k in range(1, 5001))
    text = f"dim d = 2\ninput x[d]\nparam b[d]\na0 = x + b\n{layers}L = ||a5000||^2\nminimize L\n"
    derivation = symbackprop.derive(symbackprop.parse(text))
    assert len(derivation.forward) == 5002
    assert len(derivation.backward) == 5003
