"""`softcall base` as a user calls it."""

import json
import os
import subprocess
import sys

import pytest
from make_tiny import tiny_base
from tiny_gguf import write_gguf
from transformers import GPT2Config

from softcall import cli
from softcall.base import default_base
from softcall.base.bundle import Bundle
from softcall.commands import base as command
from softcall.export import kept_graph

TINY_WEIGHTS_BYTES = sum(4 * parameter.numel() for parameter in tiny_base().model.parameters())


def run(*arguments) -> int:
    """Run the command line in this process; return its exit status."""
    before, sys.argv = sys.argv, ["softcall", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.argv = before
    return 0


def test_it_exports_a_folder_and_prints_what_it_measured(tiny_folder, tmp_path, capfd):
    assert run("base", tmp_path / "base", "--source", tiny_folder, "--name", "tiny") == 0
    printed = capfd.readouterr().err
    for said in (
        "trace the model",
        f"write the fp32 weights, {TINY_WEIGHTS_BYTES:,} bytes",
        "unequal lengths, one prefix",
        "fingerprint",
    ):
        assert said in printed
    assert Bundle.open(tmp_path / "base").name == "tiny"


def test_it_keeps_a_graph_on_request_and_makes_a_base_of_it(tmp_path, monkeypatch, capfd):
    file = write_gguf(tiny_base(), tmp_path / "tiny.gguf")
    graphs = tmp_path / "graphs"
    assert run("base", tmp_path / "exported", "--source", file, "--keep-graph", graphs / "tiny") == 0
    monkeypatch.setattr(kept_graph, "GRAPHS", graphs)
    assert run("base", tmp_path / "filled", "--source", file, "--from-graph") == 0
    printed = capfd.readouterr().err
    assert f"write the fp32 weights, {TINY_WEIGHTS_BYTES:,} bytes" in printed
    assert "golden row, fp32: largest relative difference" in printed
    filled, exported = (
        json.loads((tmp_path / at / "base.json").read_text()) for at in ("filled", "exported")
    )
    assert filled["variants"] == exported["variants"]


def test_without_pytorch_it_takes_the_kept_graph_and_says_so(tmp_path, monkeypatch, capfd):
    file = write_gguf(tiny_base(), tmp_path / "tiny.gguf")
    assert run("base", tmp_path / "exported", "--source", file, "--keep-graph", tmp_path / "graphs/tiny") == 0
    monkeypatch.setattr(kept_graph, "GRAPHS", tmp_path / "graphs")
    monkeypatch.setattr(default_base, "fetch", lambda: file)
    monkeypatch.setattr(command, "find_spec", lambda module: None)
    capfd.readouterr()
    assert run("base", tmp_path / "filled") == 0
    assert "PyTorch is not installed: using the graph that comes with softcall" in capfd.readouterr().err
    assert run("base", tmp_path / "the same", "--source", file) == 0


def test_without_pytorch_nothing_else_can_be_made(tiny_folder, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(command, "find_spec", lambda module: None)
    for arguments in (["--source", tiny_folder], ["--max-positions", "64"]):
        assert run("base", tmp_path / "base", *arguments) == 1
        assert "pip install 'softcall[torch]'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from-graph", "--max-positions", "64"], "--from-graph writes the graph as it is"),
        (["--source", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(arguments, said, tmp_path, capfd):
    assert run("base", tmp_path / "base", *arguments) == 1
    printed = capfd.readouterr().err
    assert printed.startswith("softcall: ")
    assert printed.count("\n") == 1
    assert said in printed


def test_another_architecture_is_refused_by_name(tmp_path, capfd):
    GPT2Config(architectures=["GPT2LMHeadModel"]).save_pretrained(tmp_path / "gpt2")
    assert run("base", tmp_path / "base", "--source", tmp_path / "gpt2") == 1
    assert "gpt2 is a GPT2LMHeadModel; accepted are LlamaForCausalLM" in capfd.readouterr().err
    assert not (tmp_path / "base").exists()


def test_too_many_positions_are_refused_before_the_model_is_loaded(tiny_folder, tmp_path, capfd):
    assert run("base", tmp_path / "base", "--source", tiny_folder, "--max-positions", 4096) == 1
    printed = capfd.readouterr().err
    assert "--max-positions 4096: 2 to 1024" in printed
    assert "load" not in printed


def test_the_help_comes_at_once_without_pytorch():
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'onnx', 'peft', 'boto3']))\n"
    )
    script += "from softcall.cli import app; app(['base', '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "100"},
    )
    for shown in (
        "--source",
        "--from-graph",
        "--max-positions",
        "softcall base build/base",
        "SmolLM2-135M-Instruct",
    ):
        assert shown in done.stdout
    assert "--keep-graph" not in done.stdout
