"""The command line itself: quick help, failures in one line, options that reach the run."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from make_tiny import DEFAULT_FOLDER as TINY

from softcall.artifact.artifact import Artifact
from softcall.cli import told

DATASETS = Path(__file__).parent / "dataset_layouts"


def softcall(*arguments, stdout=subprocess.PIPE, **options):
    command = [sys.executable, "-B", "-m", "softcall", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=500, **options)


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


def one_line(done):
    """What a command that failed says of it."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.isprintable() and len(line) <= 520
    return line.removeprefix("softcall: ")


def test_files_that_cannot_be_read_are_named(tmp_path):
    artifact = TINY / "tasks/sentiment/adapter_model.safetensors"
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    (tmp_path / "a.jsonl").symlink_to("a.jsonl")
    assert one_line(softcall("data", tmp_path / "a.jsonl")).startswith(
        f"{tmp_path}/a.jsonl: cannot be read (Too many l"
    )
    assert str(folder) in one_line(softcall("data", folder))
    sign = softcall("push", artifact, "a", "--store", f"file:{tmp_path}", "--sign", tmp_path)
    assert one_line(sign) == f"{tmp_path}: cannot be read (Is a directory)"
    (tmp_path / "file").touch()
    store = softcall("push", artifact, "a", "--store", f"file:{tmp_path}/file")
    assert one_line(store).startswith(f"store file:{tmp_path}/file: task a cannot be written")


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(tmp_path):
    """The largest size of a file stands in for it; standard output has a device of its own for that."""
    artifact = TINY / "tasks/sentiment/adapter_model.safetensors"
    for command, named in (
        (["push", artifact, "a", "--store", f"file:{tmp_path}/store"], "store/a/adapter_model.safetensors"),
        (["convert", artifact, tmp_path / "plain"], "plain"),
    ):
        done = softcall(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        line = one_line(done)
        assert line.startswith(f"cannot write {tmp_path}/{named}: ") and "File too large" in line
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    with Path("/dev/full").open("w") as full:
        done = softcall("ls", "--store", f"file:{TINY}/tasks", stdout=full)
    assert one_line(done) == "No space left on device"


@pytest.mark.parametrize("command", ["ls", "data", "push"])
def test_few_open_files_are_enough_or_said_to_be_too_few(tmp_path, command):
    arguments = {
        "ls": ["--store", f"file:{TINY}/tasks"],
        "data": [DATASETS / "hub"],
        "push": [TINY / "tasks/sentiment/adapter_model.safetensors", "a", "--store", f"file:{tmp_path}"],
    }[command]
    for limit in (64, 16, 8):
        done = softcall(
            command,
            *arguments,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),  # noqa: B023
        )
        assert done.returncode == 0 or "open files" in one_line(done)


def test_an_error_without_a_file_or_a_reason_is_told_all_the_same():
    assert told(OSError(28, "No space left on device")) == "No space left on device"
    assert told(OSError(28, "No space left on device", "/a/b")) == "/a/b: No space left on device"
    assert told(OSError("of a library")) == "of a library"
    assert told(TimeoutError()) == "TimeoutError"


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
