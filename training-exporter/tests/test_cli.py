"""The command line itself: quick help, failures in one line, options that reach the run."""

import json
import subprocess
import sys

from softcall.artifact import Artifact


def softcall(*arguments):
    command = [sys.executable, "-m", "softcall", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_loads_nothing_heavy():
    code = "import sys, softcall.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "peft", "boto3", "onnx", "onnxruntime"} & set(loaded.split())


def test_a_failure_is_one_line_and_status_1(tmp_path):
    done = softcall("train", tmp_path / "none.jsonl", "--out", tmp_path / "a.bin")
    assert done.returncode == 1 and done.stdout == ""
    assert (
        done.stderr.strip()
        == f"softcall: --out {tmp_path}/a.bin: the name of an artifact ends in .safetensors"
    )


def test_verbalizers_are_label_and_words(tmp_path):
    for given, message in (
        ("positive", "--verbalizer 'positive': expected LABEL=WORDS, such as 'pos= positive'"),
        ("good=", "--verbalizer 'good=': expected LABEL=WORDS"),
    ):
        done = softcall("train", "x.jsonl", "--out", tmp_path / "a.safetensors", "--verbalizer", given)
        assert done.returncode == 1 and message in done.stderr


def test_options_reach_the_run(tmp_path, tiny_folder, toy_rows):
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))
    out = tmp_path / "a.safetensors"
    options = (
        "--tokens 16 --init labels --head verbalizer --steps 3 --batch-size 4 --seed 5 --learning-rate 0.01"
    )
    options = [*options.split(), "--template", r"{text}\nAnswer:", "--verbalizer", "good= the"]
    options += ["--verbalizer", "bad= was", "--base", tiny_folder, "--run-dir", tmp_path / "run"]
    done = softcall("train", data, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    artifact = Artifact.from_bytes(out.read_bytes())
    assert artifact.template.source == "{text}\nAnswer:"
    made = {name: artifact.training[name] for name in ("init", "head", "steps", "seed", "verbalizers")}
    assert made == {
        "init": "labels",
        "head": "verbalizer",
        "steps": 3,
        "seed": 5,
        "verbalizers": [" was", " the"],
    }
    assert artifact.prompt.shape[0] == 16
    assert softcall("eval", out, data, "--base", tiny_folder).stdout.startswith("accuracy ")
