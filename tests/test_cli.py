"""The commands: what they print and write, their exit statuses, and one clear message for whatever is wrong."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import symbackprop
from symbackprop.cli import run
from symbackprop.models import builtin_names

Capture = pytest.CaptureFixture[str]

RIGHT = "# a line\ndim d = 3\ninput x[d]\ntarget y[]\nparam w[d]\nL = (w^T x - y)^2\nminimize L\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder of its own, with the model line.eq in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "line.eq").write_text(RIGHT, encoding="utf-8")
    return tmp_path


def command(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start the program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(symbackprop.__file__).parent.parent), **options.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "symbackprop", *arguments], env=environment, **pipes)


# ---------------------------------------------------------------- bad usage

BAD_USAGE = [
    [],
    ["nonsense"],
    ["--nonsense"],
    ["derive", "--nonsense"],
    ["derive", "d2l_mlp", "line.eq"],
    ["derive", "nowhere.eq"],
    ["derive", "no_such_model"],
    ["derive", "."],
    ["derive", "x" * 5000],
    ["derive", "a\0b"],
    ["derive", "--format", "html"],
    ["derive", "--standalone"],
    ["derive", "--standalone", "--format", "pdf"],
    ["report"],
    ["report", "line.eq", "-o", "out.docx"],
    ["report", "line.eq", "-o", "line.eq"],
    ["report", "line.eq", "-o", "../out.pdf"],
    ["report", "line.eq", "-o", "out.pdf", "--latex", "folder"],
    ["report", "line.eq", "--latex", "../folder"],
    ["derive", "--wrt", "nope"],
    ["derive", "--wrt", "L"],
    ["derive", "--wrt", ""],
    ["derive", "--wrt", "W1,,b1"],
    ["derive", "mlp", "--wrt", "y"],
    ["derive", "--only", "nope"],
    ["derive", "--wrt", "W1", "--only", "b2"],
    ["derive", "--notation", "dots"],
    ["derive", "--bat"],
    ["derive", "--layers", "3,2"],
    ["derive", "line.eq", "--activation", "relu", "--no-bias"],
    ["derive", "mlp", "--layers", "3"],
    ["derive", "mlp", "--layers", "3,x"],
    ["derive", "mlp", "--layers", "3,2.5"],
    ["derive", "mlp", "--layers", "-3,2"],
    ["derive", "mlp", "--layers", ""],
    ["derive", "mlp", "--layers"],
    ["derive", "mlp", "--bias", "1,2,1"],
    ["derive", "mlp", "--bias", "1,1"],
    ["derive", "mlp", "--bias", "1,1,0", "--no-bias"],
    ["derive", "mlp", "--activation", "relu,tanh,tanh"],
    ["derive", "mlp", "--regularizer", "l2,l1,l1", "--regularizer", "l2,l1"],
    ["derive", "mlp", "--hyper", "lambda"],
    ["derive", "mlp", "--regularizer", "l2", "--hyper", "lambda=1", "--hyper", "lambda=2"],
    ["derive", "mlp", "--hyper", "nu=1"],
    ["derive", "mlp", "--batch", "0"],
    ["derive", "mlp", "--batch", "1e3"],
    ["derive", "-o", "../out.txt"],
    ["derive", "-o", "."],
    ["derive", "-o", "x" * 300],
    ["derive", "-o", "line.eq"],
    ["generate"],
    ["generate", "line.eq", "-o", "../out.py"],
    ["generate", "bad.eq"],
    ["generate", "bad.eq", "-o", "folder/out.py"],
    ["check", "line.eq", "--samples", "0"],
    ["check", "line.eq", "--seed", "x"],
    ["check", "line.eq", "--kernel", "nowhere.py"],
    ["check", "line.eq", "--kernel", "line.eq"],
    ["check", "line.eq", "--kernel", "raises.py"],
    ["check", "vector.eq"],
    ["models", "no_such_model"],
    ["models", "d2l_mlp", "more"],
]


@pytest.mark.parametrize("arguments", BAD_USAGE, ids=lambda arguments: " ".join(arguments)[:60].replace("\0", "NUL"))
def test_bad_usage_is_one_message_and_status_2(arguments: list[str], folder: Path, capsys: Capture) -> None:
    Path("bad.eq").write_text("z = W x +\n", encoding="utf-8")
    Path("vector.eq").write_text("dim d = 2\nparam w[d]\nz = 2 w\n", encoding="utf-8")
    Path("raises.py").write_text("1 / 0\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.match(r"error: \S", printed.err)
    assert printed.err.count("error:") == 1
    assert "Traceback" not in printed.err and "usage:" not in printed.err
    assert len(printed.err.splitlines()) <= 4
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


def test_a_message_has_file_line_column_and_caret(capsys: Capture) -> None:
    Path("bad.eq").write_text("dim d = 3\nparam w[d]\nz = w^T v\n", encoding="utf-8")
    assert run(["derive", "bad.eq"]) == 2
    place, line, caret, *_ = capsys.readouterr().err.splitlines()
    assert place.startswith("error: bad.eq:3:9: ")
    assert line.index("v") == caret.index("^")


def test_a_warning_goes_to_standard_error(capsys: Capture) -> None:
    Path("unused.eq").write_text(RIGHT.replace("minimize", "t = 2 y\nminimize"), encoding="utf-8")
    assert run(["derive", "unused.eq"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "warning: unused.eq:7:1: t is never used\n"
    assert "∂L/∂w" in printed.out


# ---------------------------------------------------------------- help


def test_help_and_version_need_no_sympy() -> None:
    program = (
        "import sys; from symbackprop.cli import run\n"
        "assert run(['--help']) == 0 and run(['derive', '--help']) == 0 and run(['--version']) == 0\n"
        "assert run(['derive', 'mlp', '--bias', '1', '--no-bias']) == 2\n"
        "heavy = {'sympy', 'numpy', 'jinja2', 'rich', 'lark', 'mpmath'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"symbackprop {symbackprop.__version__}" in done.stdout


@pytest.mark.parametrize("name", ["derive", "generate", "check", "models", "report", "hessian"])
def test_every_option_is_explained(name: str, capsys: Capture) -> None:
    assert run(["--help"]) == 0
    assert f"    {name} " in capsys.readouterr().out
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: symbackprop {name} ")
    entries = re.split(r"\n  (?=-)", shown)[1:]
    assert entries
    for entry in entries:
        assert re.search(r"\S(  +|\n +)[\w∂\d]", entry.split("\n\n")[0]), entry


# ---------------------------------------------------------------- derive


def test_derive_answers_in_every_format(capsys: Capture) -> None:
    answers = {}
    for form in ("text", "latex", "markdown", "json"):
        assert run(["derive", "--format", form]) == 0
        answers[form] = capsys.readouterr().out
    assert "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1" in answers["text"]
    assert r"\begin{" in answers["latex"] and r"\documentclass" not in answers["latex"]
    assert answers["markdown"].startswith("# ")
    assert json.loads(answers["json"])["model"]["name"] == "d2l_mlp"
    assert run(["derive", "--json"]) == 0
    assert capsys.readouterr().out == answers["json"]
    assert run(["derive", "--format", "latex", "--standalone"]) == 0
    assert r"\documentclass" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("suffix", "start"), [(".tex", "%"), (".md", "# "), (".json", "{"), (".txt", "d2l_mlp"), ("", "d2l_mlp")]
)
def test_the_suffix_of_a_file_says_the_format(suffix: str, start: str, capsys: Capture) -> None:
    path = Path(f"answer{suffix}")
    assert run(["derive", "-o", str(path)]) == 0
    assert capsys.readouterr() == ("", f"{path}: written\n")
    text = path.read_text(encoding="utf-8")
    assert text.startswith((start, r"\begin") if suffix == ".tex" else start)
    if suffix == ".json":
        assert json.loads(text)["equations"]
    os.utime(path, ns=(1, 1))
    assert run(["derive", "-o", str(path)]) == 0
    assert capsys.readouterr().err == f"{path}: up to date\n"
    assert path.stat().st_mtime_ns == 1
    assert run(["derive", "-o", str(path), "--wrt", "W1"]) == 0
    assert path.read_text(encoding="utf-8") != text


def test_a_document_is_for_files_and_pipes(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    assert run(["derive", "-o", "answer.pdf"]) == 0
    assert run(["derive", "-o", "answer.pdf"]) == 0
    assert capfdbinary.readouterr() == (b"", b"answer.pdf: written\nanswer.pdf: up to date\n")
    whole = Path("answer.pdf").read_bytes()
    assert run(["derive", "--format", "pdf"]) == 0
    assert whole.startswith(capfdbinary.readouterr().out.rstrip())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["derive", "--format", "pdf"]) == 2
    printed = capfdbinary.readouterr()
    assert printed == (b"", b"error: a terminal cannot show this format: give -o FILE\n")


def test_a_document_that_somebody_edited_is_kept(capsys: Capture) -> None:
    path = Path("answer.pdf")
    assert run(["derive", "-o", str(path)]) == 0
    for foreign in (path.read_bytes().replace(b"/Type", b"/Tipe", 1), path.read_bytes() + b"% more\n", b"%PDF-1.7\n%%EOF\n"):
        path.write_bytes(foreign)
        assert run(["derive", "-o", str(path), "--notation", "delta"]) == 2
        assert "answer.pdf was edited by hand" in capsys.readouterr().err and path.read_bytes() == foreign
    assert run(["derive", "-o", str(path), "--notation", "delta", "--force"]) == 0
    assert run(["derive", "-o", str(path)]) == 0


def test_a_stated_format_wins_over_the_suffix() -> None:
    assert run(["derive", "--format", "text", "-o", "answer.tex"]) == 0
    assert Path("answer.tex").read_text(encoding="utf-8").startswith("d2l_mlp")


def test_a_file_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["derive", "-o", "wide.txt"]) == 0
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["derive", "-o", "narrow.txt"]) == 0
    assert Path("wide.txt").read_text("utf-8") == Path("narrow.txt").read_text("utf-8")


def test_wrt_takes_inputs_and_only_shows_less(capsys: Capture) -> None:
    assert run(["derive", "--wrt", "x,W1"]) == 0
    shown = capsys.readouterr().out
    assert "∂J/∂x = W1ᵀ (∂J/∂z)" in shown and "∂J/∂W1 =" in shown and "∂J/∂b1 =" not in shown
    assert run(["derive", "--only", "b2, W2"]) == 0
    shown = capsys.readouterr().out
    assert "∂J/∂b2 = ∂J/∂o" in shown and "∂J/∂o = o − y" in shown
    assert "∂J/∂z" not in shown


def test_the_batch_form_stacks_the_examples(capsys: Capture) -> None:
    assert run(["derive", "--batch-form"]) == 0
    assert "∂J/∂W1 = (∂J/∂Z)ᵀ X + λ W1" in capsys.readouterr().out


def test_without_an_objective_the_cotangent_is_open(capsys: Capture) -> None:
    Path("open.eq").write_text("dim d = 2, h = 3\nparam W[h, d]\ninput x[d]\nz = W x\n", encoding="utf-8")
    assert run(["derive", "open.eq"]) == 0
    shown = capsys.readouterr().out
    assert "∂⟨G, z⟩/∂W = G xᵀ" in shown


@pytest.mark.parametrize("arguments", [["derive", "-"], ["generate", "-", "-o", "-"], ["check", "-", "--samples", "1"]])
def test_a_dash_is_standard_input(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(RIGHT.encode())))
    assert run(arguments) == 0
    assert capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"z = \xff")))
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith("error: <standard input>:1:5: ")


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(["derive"]) == 0
    plain = capsys.readouterr().out
    assert "\033" not in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert run(["derive"]) == 0
    coloured = capsys.readouterr().out
    assert "\033[1m" in coloured
    assert re.sub(r"\033\[\d*m", "", coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(["derive"]) == 0
    assert capsys.readouterr().out == plain


def test_show_model_prints_what_can_be_saved(capsys: Capture) -> None:
    for name in ("line.eq", "d2l_mlp"):
        assert run(["derive", name, "--show-model"]) == 0
        shown = capsys.readouterr().out
        assert shown == (RIGHT if name == "line.eq" else symbackprop.models.builtin_text(name))


# ---------------------------------------------------------------- generate


def test_generate_writes_a_module_where_it_is_asked_for(capsys: Capture) -> None:
    assert run(["generate", "line.eq"]) == 0
    assert capsys.readouterr() == ("", "generated/line.py: written\n")
    text = Path("generated/line.py").read_text(encoding="utf-8")
    assert run(["generate", "line.eq", "-o", "-"]) == 0
    assert capsys.readouterr().out == text
    assert run(["generate", "line.eq", "-o", "here/it.py"]) == 0
    assert Path("here/it.py").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "module"), [("my model.eq", "my_model"), ("2d.eq", "m_2d"), ("class.eq", "m_class"), ("λ.eq", "_")]
)
def test_the_module_of_any_model_can_be_imported(name: str, module: str) -> None:
    Path(name).write_text(RIGHT, encoding="utf-8")
    assert run(["generate", name]) == 0
    assert os.listdir("generated") == [f"{module}.py"]


def test_generate_again_changes_nothing_and_an_edit_is_kept(capsys: Capture) -> None:
    path = Path("generated/line.py")
    run(["generate", "line.eq"])
    os.utime(path, ns=(1, 1))
    capsys.readouterr()
    assert run(["generate", "line.eq"]) == 0
    assert capsys.readouterr().err == "generated/line.py: up to date\n"
    assert path.stat().st_mtime_ns == 1
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("import numpy", "import  numpy"), encoding="utf-8")
    assert run(["generate", "line.eq"]) == 2
    assert capsys.readouterr().err == (
        "error: generated/line.py was edited by hand or not written by symbackprop; --force replaces it\n"
    )
    assert "import  numpy" in path.read_text(encoding="utf-8")
    assert run(["generate", "line.eq", "--force"]) == 0
    assert path.read_text(encoding="utf-8") == whole


def test_a_changed_model_replaces_its_own_module() -> None:
    run(["generate", "line.eq"])
    Path("line.eq").write_text(RIGHT.replace("^2", "^4"), encoding="utf-8")
    assert run(["generate", "line.eq"]) == 0
    assert "^4" in Path("generated/line.py").read_text(encoding="utf-8")


def test_a_bad_model_leaves_the_old_module(capsys: Capture) -> None:
    run(["generate", "line.eq"])
    whole = Path("generated/line.py").read_bytes()
    Path("line.eq").write_text(RIGHT + "(", encoding="utf-8")
    assert run(["generate", "line.eq"]) == 2
    assert Path("generated/line.py").read_bytes() == whole


# ---------------------------------------------------------------- check, models


def test_check_tells_right_from_wrong_by_its_status(capsys: Capture) -> None:
    run(["generate", "line.eq", "-o", "kernel.py"])
    assert run(["check", "line.eq", "--samples", "1", "--kernel", "kernel.py"]) == 0
    assert "line: all" in capsys.readouterr().out
    wrong = (
        "right = loss_and_grad\n"
        "def loss_and_grad(*arguments, **options):\n"
        "    loss, gradients = right(*arguments, **options)\n"
        "    return loss, {name: gradient * (1 + 1e-6) for name, gradient in gradients.items()}\n"
    )
    Path("wrong.py").write_text(Path("kernel.py").read_text(encoding="utf-8") + wrong, encoding="utf-8")
    assert run(["check", "line.eq", "--samples", "1", "--kernel", "wrong.py"]) == 1
    assert "line: FAIL for w" in capsys.readouterr().out


def test_check_answers_as_json(capsys: Capture) -> None:
    assert run(["check", "line.eq", "--samples", "1", "--seed", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] and {row["parameter"] for row in report["rows"]} == {"L", "w"}


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    Path("odd {0} [b].eq").write_text(RIGHT, encoding="utf-8")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    for arguments in (["check", "odd {0} [b].eq", "--samples", "1"], ["generate", "odd {0} [b].eq"]):
        assert run(arguments) == 0
        assert "odd {0} [b]" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for verb, arguments in (
        ("checking", ["check", "odd {0} [b].eq", "--samples", "1"]), ("generating", ["generate", "odd {0} [b].eq"]),
    ):  # fmt: skip
        assert run(arguments) == 0
        printed = capsys.readouterr()
        assert f"{verb} odd {{0}} [b]" in printed.err
        assert verb not in printed.out


def test_models_lists_and_prints(capsys: Capture) -> None:
    assert run(["models"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(builtin_names())
    assert all(len(line.split()) > 2 for line in listed)
    assert run(["models", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(builtin_names())
    assert run(["models", "layer_norm"]) == 0
    assert capsys.readouterr().out == symbackprop.models.builtin_text("layer_norm")


# ---------------------------------------------------------------- as a process


def test_the_output_may_be_cut_off() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = command("derive", "line.eq", stdout=writer)
    os.close(writer)
    _, problem = process.communicate(timeout=60)
    assert (process.returncode, problem) == (0, b"")


def test_a_full_standard_output_is_a_message() -> None:
    with open("/dev/full", "wb") as full:
        process = command("models", stdout=full)
        _, problem = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"No space left" in problem and b"Traceback" not in problem


def test_a_terminal_without_unicode_gets_question_marks() -> None:
    process = command("derive", "line.eq", env={"PYTHONIOENCODING": "ascii"})
    answer, problem = process.communicate(timeout=60)
    assert (process.returncode, problem) == (0, b"")
    assert b"?L/?w = " in answer


def test_an_interrupt_ends_quietly_and_leaves_nothing(folder: Path) -> None:
    os.mkfifo("slow.eq")
    with command("generate", "slow.eq") as process:
        with open("slow.eq", "wb"):  # opens when the program has begun to read
            process.send_signal(signal.SIGINT)
            output, problem = process.communicate(timeout=60)
    assert (process.returncode, output, problem) == (130, b"", b"interrupted\n")
    assert sorted(os.listdir(folder)) == ["line.eq", "slow.eq"]
