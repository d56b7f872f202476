"""The golden conversations of chat templates, to which servers are held."""

import json

import make_chat_templates

CASES = json.loads(make_chat_templates.CASES.read_text("utf-8"))


def test_making_them_again_gives_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(make_chat_templates, "CASES", tmp_path / "again.json")
    before = make_chat_templates.REPOSITORY / "src/test/resources/chat-templates.json"
    make_chat_templates.main()
    assert (tmp_path / "again.json").read_bytes() == before.read_bytes()


def test_every_case_is_rendered_or_refused():
    assert len(CASES) == len(make_chat_templates.templates()) * len(make_chat_templates.CONVERSATIONS)
    assert all(("rendered" in case) != ("error" in case) for case in CASES)
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_a_generation_prompt_ends_a_conversation():
    (case,) = (case for case in CASES if case["name"] == "smollm2-instruct: with a system message")
    assert case["rendered"] == (
        "<|im_start|>system\nAnswer in one word.<|im_end|>\n"
        "<|im_start|>user\nIs the sky blue?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
