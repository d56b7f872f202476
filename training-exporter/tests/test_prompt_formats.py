"""Prompts that others trained: each format gives what PEFT gives, or is refused with the reason."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from make_tiny import tiny_base
from peft import (
    MultitaskPromptTuningConfig,
    PeftModel,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file

from softcall.artifact.metadata import PromptType
from softcall.core.errors import SoftcallError
from softcall.prompt_formats import read_prompt, tensor_file
from softcall.prompt_formats.peft_output import write_prompt

TOKENS = 8
OTHERS = Path(os.environ.get("SOFTCALL_ADAPTERS") or "no-such-folder")


def refusal(source, task_id=None):
    with pytest.raises(SoftcallError) as refused:
        read_prompt(source, task_id)
    return str(refused.value)


def edit_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite(folder, **changes):
    file = folder / "adapter_model.safetensors"
    save_file({name: t for name, t in (load_file(file) | changes).items() if t is not None}, file)


class TestMultitask:
    TASKS, RANKS = 3, 2

    @pytest.fixture
    def tuned(self, tmp_path):
        """PEFT's model with three tasks' prompts, saved in the folder."""
        torch.manual_seed(3)
        config = MultitaskPromptTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=TOKENS, num_tasks=self.TASKS, num_ranks=self.RANKS
        )
        model = get_peft_model(tiny_base().model, config)
        model.save_pretrained(tmp_path)
        return model, tmp_path

    def test_each_task_s_prompt_is_the_one_of_peft(self, tuned):
        model, folder = tuned
        for task_id in range(self.TASKS):
            prompt = read_prompt(folder, task_id)
            with torch.no_grad():
                expected = model.get_prompt(1, torch.tensor([task_id]))[0]
            np.testing.assert_allclose(prompt.vectors, expected, rtol=1e-6, atol=1e-8)
            assert prompt.details["task_id"] == task_id
        assert prompt.made_as == "PEFT MULTITASK_PROMPT_TUNING"

    def test_a_plain_folder_of_one_task_gives_the_same_logits(self, tuned, tmp_path):
        model, folder = tuned
        write_prompt(tmp_path / "plain", read_prompt(folder, 1))
        plain = PeftModel.from_pretrained(tiny_base().model, tmp_path / "plain").eval()
        ids = torch.tensor([[5, 9, 44, 17]])
        with torch.no_grad():
            expected = model.eval()(input_ids=ids, task_ids=torch.tensor([1])).logits
            torch.testing.assert_close(plain(input_ids=ids).logits, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        ("task_id", "message"),
        [
            (None, "holds the prompts of 3 tasks: give --task-id, 0 to 2"),
            (3, "--task-id is 3; it holds the prompts of 3 tasks"),
            (-1, "--task-id is -1; it holds"),
        ],
    )
    def test_the_task_must_be_one_of_them(self, tuned, task_id, message):
        assert message in refusal(tuned[1], task_id)

    @pytest.mark.parametrize(
        ("tensors", "config", "message"),
        [
            ({}, {"num_ranks": 1}, "prefix_task_cols has shape [3, 8, 2]; its configuration says [3, 8, 1]"),
            ({}, {"num_tasks": None}, "its configuration says [None, 8, 2]"),
            ({"prefix_task_rows": torch.ones(3, 2, 63)}, {}, "prefix_task_rows has shape [3, 2, 63]"),
            ({"prefix_task_rows": None}, {}, "holds the tensors prefix_task_cols, prompt_embeddings"),
            ({"prefix_task_cols": torch.ones(3, 8)}, {}, "prefix_task_cols [3, 8]"),
            ({}, {"num_virtual_tokens": 7}, "adapter_config.json says [7, 64]"),
        ],
    )
    def test_tensors_that_do_not_fit_are_refused(self, tuned, tensors, config, message):
        rewrite(tuned[1], **tensors)
        edit_config(tuned[1], **config)
        assert message in refusal(tuned[1], 0)


class TestPTuning:
    @pytest.fixture(params=["MLP", "LSTM"])
    def tuned(self, request, tmp_path):
        """PEFT's model with a prompt encoder of one kind, saved in the folder."""
        torch.manual_seed(4)
        config = PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=TOKENS,
            encoder_reparameterization_type=request.param,
            encoder_hidden_size=24,
            encoder_num_layers=2,
        )
        model = get_peft_model(tiny_base().model, config).eval()
        model.save_pretrained(tmp_path)
        return request.param, model, tmp_path

    @staticmethod
    def prompt_of(model):
        with torch.no_grad():
            return model.get_prompt(1)[0]

    def test_a_saved_folder_holds_the_encoder_s_output(self, tuned):
        _, model, folder = tuned
        loaded = PeftModel.from_pretrained(tiny_base().model, folder)
        prompt = read_prompt(folder)
        np.testing.assert_array_equal(prompt.vectors, self.prompt_of(loaded))
        np.testing.assert_allclose(prompt.vectors, self.prompt_of(model), rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("prefix", ["", "prompt_encoder.default."])
    @pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_model.bin"])
    def test_an_encoder_that_training_kept_is_run_once(self, tuned, prefix, file):
        kind, model, folder = tuned
        state = {
            prefix + name: tensor.clone()
            for name, tensor in model.prompt_encoder["default"].state_dict().items()
        }
        (folder / "adapter_model.safetensors").unlink()
        (save_file if file.endswith(".safetensors") else torch.save)(state, folder / file)
        prompt = read_prompt(folder)
        np.testing.assert_allclose(prompt.vectors, self.prompt_of(model), rtol=1e-6, atol=1e-7)
        assert prompt.details["prompt_encoder"] == kind

    def test_an_encoder_that_does_not_fit_is_refused(self, tuned):
        kind, model, folder = tuned
        state = model.prompt_encoder["default"].state_dict()
        file = folder / "adapter_model.safetensors"
        other = {"MLP": "LSTM", "LSTM": "MLP"}[kind]
        save_file(state, file)
        edit_config(folder, encoder_reparameterization_type=other)
        assert f"holds the tensors of an {kind}; its configuration says '{other}'" in refusal(folder)
        edit_config(folder, encoder_reparameterization_type=kind)
        save_file(state | {"mlp_head.0.bias": torch.ones(5)}, file)
        assert f"no prompt encoder of type {kind}: " in refusal(folder)
        save_file({name: tensor for name, tensor in state.items() if name != "mlp_head.2.bias"}, file)
        assert "mlp_head.2.bias" in refusal(folder)
        save_file({"embedding.weight": state["embedding.weight"]}, file)
        assert "expected prompt_embeddings alone, or a prompt encoder's" in refusal(folder)

    def test_a_shape_that_implies_terabytes_allocates_nothing(self, tuned):
        kind, model, folder = tuned
        state = model.prompt_encoder["default"].state_dict()
        first = {"MLP": "mlp_head.0.weight", "LSTM": "lstm_head.weight_ih_l0"}[kind]
        save_file(state | {first: torch.zeros(4_000_000, 1)}, folder / "adapter_model.safetensors")
        assert "no prompt encoder of type" in refusal(folder)


class TestTgis:
    VECTORS = torch.arange(TOKENS * 64, dtype=torch.float32).reshape(TOKENS, 64)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_a_bare_tensor_is_the_prompt(self, tmp_path, dtype):
        torch.save(torch.nn.Parameter(self.VECTORS.to(dtype)), tmp_path / "decoder.pt")
        for source in (tmp_path, tmp_path / "decoder.pt"):
            prompt = read_prompt(source)
            np.testing.assert_array_equal(prompt.vectors, self.VECTORS.to(dtype).float())
            assert (prompt.made_as, prompt.base_model) == ("TGIS decoder.pt", None)

    def test_a_prompt_for_an_encoder_is_refused(self, tmp_path):
        torch.save(self.VECTORS, tmp_path / "encoder.pt")
        assert "encoder.pt: a prompt for an encoder" in refusal(tmp_path)
        torch.save(self.VECTORS, tmp_path / "decoder.pt")
        for source in (tmp_path, tmp_path / "decoder.pt", tmp_path / "encoder.pt"):
            assert "belongs to an encoder-decoder model" in refusal(source)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"prompt_embeddings": VECTORS}, "holds named tensors (prompt_embeddings); expected one bare"),
            ([VECTORS], "the tensor is of type list; expected a tensor"),
            (torch.ones(8, 64, dtype=torch.int64), "the tensor holds torch.int64"),
            (torch.ones(8, 64).to_sparse(), "as torch.sparse_coo on cpu"),
            (torch.ones(8), "prompt_embeddings has shape [8]; expected [tokens, hidden]"),
            (torch.ones(2049, 4), "has 2049 tokens; at most 2048 are accepted"),
            (torch.full((2, 2), torch.nan), "prompt_embeddings holds nan at element 0"),
            (torch.full((2, 2), 1e300, dtype=torch.float64), "prompt_embeddings holds inf at element 0"),
            (torch.ones(1).expand(1 << 20, 1 << 20), "has shape [1048576, 1048576]; at most 67108864 bytes"),
        ],
    )
    def test_anything_else_is_refused(self, tmp_path, content, message):
        torch.save(content, tmp_path / "decoder.pt")
        assert message in refusal(tmp_path)

    def test_a_link_that_git_left_as_text_is_named(self, tmp_path):
        (tmp_path / "decoder.pt").write_text("../other/decoder.pt")
        assert "the text of a link to '../other/decoder.pt'; give that file instead" in refusal(tmp_path)

    def test_a_file_that_unpacks_to_too_much_is_refused(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "decoder.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(tensor_file.MAX_BYTES + 1))
        assert "unpacks to 67108865 bytes; at most 67108864 are accepted" in refusal(tmp_path)


class TestNumpy:
    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_an_array_is_the_prompt(self, tmp_path, dtype, order):
        array = np.arange(6 * 4).reshape(6, 4).astype(dtype, order=order)
        np.save(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(read_prompt(tmp_path / "a.npy").vectors, array.astype(np.float32))

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.ones((4, 4), np.int64), "holds int64; expected floating-point numbers"),
            (np.ones((2, 4, 4)), "prompt_embeddings has shape [2, 4, 4]; expected [tokens, hidden]"),
            (np.ones((2049, 4)), "has 2049 tokens; at most 2048"),
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path, array, message):
        np.save(tmp_path / "a.npy", array)
        assert message in refusal(tmp_path / "a.npy")

    def test_sizes_that_the_header_only_claims_are_refused(self, tmp_path):
        np.save(tmp_path / "a.npy", np.ones((4, 4), np.float32))
        data = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(data.replace(b"(4, 4), }     ", b"(4, 99999999)}"))
        assert "claims 1599999984 bytes of shape [4, 99999999], and 64 follow" in refusal(tmp_path / "a.npy")
        (tmp_path / "a.npy").write_bytes(data[:-4])
        assert "claims 64 bytes of shape [4, 4], and 60 follow" in refusal(tmp_path / "a.npy")
        (tmp_path / "a.npy").write_bytes(b"not NumPy's")
        assert "a.npy: not a .npy file" in refusal(tmp_path / "a.npy")


class Trap:
    """Runs when it is unpickled, unless nothing is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["decoder.pt", "adapter_model.bin", "prompt.npy"])
def test_no_file_runs_code(tmp_path, name):
    sprung = tmp_path / "sprung"
    trap = {"prompt_embeddings": Trap(sprung)} if name.endswith(".bin") else Trap(sprung)
    if name.endswith(".npy"):
        np.save(tmp_path / name, np.array([trap], dtype=object), allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(trap))
    message = refusal(tmp_path / name)
    assert "not a file of tensors" in message or "holds object" in message
    assert not sprung.exists()


def test_tensors_without_a_configuration_are_a_plain_prompt_or_refused(tmp_path):
    vectors = torch.rand(TOKENS, 64)
    save_file({"prompt_embeddings": vectors}, tmp_path / "adapter_model.safetensors")
    torch.save({"prompt_embeddings": vectors}, tmp_path / "other.bin")
    for source in (tmp_path, tmp_path / "adapter_model.safetensors", tmp_path / "other.bin"):
        np.testing.assert_array_equal(read_prompt(source).vectors, vectors)
    save_file(
        {"prompt_embeddings": vectors, "score.weight": vectors + 1}, tmp_path / "adapter_model.safetensors"
    )
    assert "holds the tensors prompt_embeddings, score.weight; expected" in refusal(tmp_path)


def test_a_file_beside_its_configuration_is_read_by_it(tmp_path):
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS)
    get_peft_model(tiny_base().model, config).save_pretrained(tmp_path)
    edit_config(tmp_path, peft_type="LORA")
    assert "peft_type is 'LORA'" in refusal(tmp_path / "adapter_model.safetensors")


def test_a_task_is_chosen_only_where_there_are_several(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    assert "--task-id is 0, but NumPy array holds one prompt alone" in refusal(tmp_path / "a.npy", 0)


def test_what_holds_no_prompt_is_refused_with_what_would(tmp_path, tiny_folder):
    assert "holds no prompt but a model of its own (config.json); expected a folder" in refusal(tiny_folder)
    assert f"{tmp_path}: holds no prompt; expected a folder made by PEFT's" in refusal(tmp_path)
    assert "none: cannot be read (No such file or directory)" in refusal(tmp_path / "none")
    (tmp_path / "a.h5").touch()
    assert "a.h5: holds no prompt; expected" in refusal(tmp_path / "a.h5")


# What others have trained and published, in the folder $SOFTCALL_ADAPTERS.

CONVERTED = {
    "IBM+text-generation-inference/bloom_sentiment_1": (8, 1024),
    "IBM+text-generation-inference/tiny_starcoder": (6, 768),
    "IBM+text-generation-inference/tinyllama": (7, 64),
    "IBM+text-generation-inference/tinyllama_peft_adapter": (8, 64),
    "IBM+text-generation-inference/tinyllama_peft_adapter_raw": (8, 64),
    "e2e_nlg/kv": (20, 30 * 2 * 3 * 64),
    "e2e_nlg/soft": (20, 576),
    "google-research+prompt-tuning/sst2.npy": (100, 768),
    "opendatahub-io+vllm-tgis-adapter/bloom_sentiment_1": (8, 1024),
    "opendatahub-io+vllm-tgis-adapter/bloomz-560m-prompt-adapter": (8, 1024),
    "opendatahub-io+vllm-tgis-adapter/twitter-pa": (8, 1024),
}
ENCODER_DECODER = "belongs to an encoder-decoder model"
REFUSED = {
    "IBM+text-generation-inference/mt0_sentiment_both": ENCODER_DECODER,
    "IBM+text-generation-inference/mt0_sentiment_decoder_only": "the text of a link to",
    "IBM+text-generation-inference/mt0_sentiment_encoder_only": ENCODER_DECODER,
    "IBM+text-generation-inference/nested/path": "the text of a link to '../../bloom_sentiment_1/decoder.pt'",
    "tiny_random_models/BertForSequenceClassification": "at most 64 are accepted",
    "tiny_random_models/BloomForCausalLM": "at most 64 are accepted",
    "tiny_random_models/T5ForConditionalGeneration": "at most 64 are accepted",
}
published = pytest.mark.skipif(
    not OTHERS.is_dir(), reason="$SOFTCALL_ADAPTERS names no folder of published prompts"
)


def published_sources():
    """Each tensor file that is there, and what it is known by."""
    for file in sorted(OTHERS.rglob("*")):
        if file.suffix in (".pt", ".bin", ".safetensors", ".npy"):
            place = file if file.suffix == ".npy" else file.parent
            yield pytest.param(file, str(place.relative_to(OTHERS)), id=str(file.relative_to(OTHERS)))


def plainly_read(file):
    """The prompt by PyTorch or NumPy themselves."""
    if file.suffix == ".npy":
        return np.load(file, allow_pickle=False)
    content = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    return (content if isinstance(content, torch.Tensor) else content["prompt_embeddings"]).detach()


@published
@pytest.mark.parametrize(("file", "name"), published_sources())
def test_each_published_file_is_read_as_it_is_or_refused_with_the_reason(file, name):
    if name in REFUSED:
        assert REFUSED[name] in refusal(file)
    else:
        prompt = read_prompt(file)
        assert prompt.vectors.shape == CONVERTED[name]
        np.testing.assert_array_equal(prompt.vectors, plainly_read(file))
        if file.suffix != ".npy":
            np.testing.assert_array_equal(read_prompt(file.parent).vectors, prompt.vectors)


@published
def test_every_other_published_file_is_refused_as_no_prompt():
    tensors = {case.values[0] for case in published_sources()}
    for file in OTHERS.rglob("*"):
        if file.is_file() and file not in tensors:
            assert f"{file}: holds no prompt; expected" in refusal(file)


@published
@pytest.mark.parametrize("name", sorted(CONVERTED))
def test_peft_loads_each_published_prompt_once_it_is_converted(name, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    prompt = read_prompt(OTHERS / name)
    write_prompt(tmp_path / "plain", prompt)
    sizes = {"hidden_size": prompt.vectors.shape[1], "num_attention_heads": 4, "num_hidden_layers": 1}
    if prompt.prompt_type == PromptType.KV:
        heads = {"num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64}
        sizes = {"hidden_size": 576, "num_hidden_layers": 30, **heads}
    base = LlamaForCausalLM(LlamaConfig(vocab_size=300, intermediate_size=8, **sizes))
    loaded = PeftModel.from_pretrained(base, tmp_path / "plain")
    np.testing.assert_array_equal(loaded.get_prompt_embedding_to_save("default").detach(), prompt.vectors)


@published
def test_the_name_of_the_base_is_kept(tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(OTHERS / "opendatahub-io+vllm-tgis-adapter/twitter-pa", folder)
    write_prompt(tmp_path / "plain", read_prompt(folder))
    config = json.loads((tmp_path / "plain/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "bigscience/bloomz-560m"
