"""Clients of others that write text, as they are published, against this repository's server.

OpenAI's SDKs for Python and Node, and LangChain, ask for the same text in each way that they know. All ways
must give the same text, because each of them asks for the most probable tokens.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bars import Bars
from langchain_openai import ChatOpenAI
from local_server import ROOT, LocalServer
from openai import AsyncOpenAI, BadRequestError, OpenAI

FOLDER = ROOT / "build/clients"
SCRIPT = ROOT / "tools/clients/text.mjs"
TINY = ROOT / "src/test/resources/tiny"
PROMPT = "One, two,"
MESSAGES = [{"role": "user", "content": "Count to three."}]
TOKENS = 8
AT_ONCE = 8


def main() -> None:
    """Ask in every way; ends with 1 where two ways give different texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--completion", default="", help="a task that takes completions")
    parser.add_argument("--chat", default="", help="a task that takes chats")
    parser.add_argument("--tasks", type=Path, default=TINY / "tasks", help="the folder of the tasks")
    parser.add_argument("--base", type=Path, default=TINY / "base", help="the base bundle")
    parser.add_argument("--variant", default="fp32", help="of the base")
    parser.add_argument("--serve-as", default="", help="the name under which the base itself writes text")
    parser.add_argument("--node", type=Path, default=Path(sys.executable).with_name("node"))
    options = parser.parse_args()
    if not options.completion and not options.chat:
        parser.error("name a task: --completion or --chat")
    settings = {
        "SOFTCALL_BASE_DIR": str(options.base),
        "SOFTCALL_BASE_VARIANT": options.variant,
        "SOFTCALL_BASE_CACHE_DIR": str(FOLDER / "packed"),
    }
    if options.serve_as:
        settings["SOFTCALL_BASE_SERVE_AS"] = options.serve_as
    bars = Bars()
    with LocalServer(options.tasks, FOLDER / "server-text.log", settings=settings) as server:
        node = ask_node(options.node, server.url, options.completion, options.chat)
        bars("Node: a bad request", int(node["refused"] != ""), node["refused"] or "400")
        if options.completion:
            check_completions(bars, server.url, options.completion, node)
        if options.chat:
            check_chats(bars, server.url, options.chat, node)
            check_langchain(bars, server.url, options.chat)
    sys.exit(0 if bars.hold else 1)


def ask_node(node: Path, url: str, completion: str, chat: str) -> dict:
    """The texts that OpenAI's SDK for Node was given."""
    command = [node, SCRIPT, url, completion, chat]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def client_of(url: str) -> OpenAI:
    """OpenAI's client; what fails is not asked again."""
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def check_completions(bars: Bars, url: str, task: str, node: dict) -> None:
    """Whole, streamed, several at once, with log-probabilities, by ids' text, refused."""
    client = client_of(url)
    request = {"model": task, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
    whole = client.completions.create(**request)
    text = whole.choices[0].text
    usage = whole.usage
    bars("completions: no text", int(not text), repr(text))
    bars("completions: tokens beyond the bound", max(0, usage.completion_tokens - TOKENS), f"{usage}")
    bars(
        "completions: a sum that is none",
        usage.total_tokens - usage.prompt_tokens - usage.completion_tokens,
        "usage",
    )
    bars("completions: another model", int(whole.model != task), whole.model)
    stream = client.completions.create(**request, stream=True)
    bars("completions streamed: differ", int("".join(texts(stream)) != text), "one text")
    bars("completions of Node: differ", int(node["completion"] != text), "one text")
    bars("completions of Node, streamed: differ", int(node["completionStream"] != text), "one text")
    two = client.completions.create(**request | {"prompt": [PROMPT, PROMPT]})
    bars(
        "completions of two prompts: differ", sum(choice.text != text for choice in two.choices), "two texts"
    )
    scored = client.completions.create(**request, logprobs=2)
    logprobs = scored.choices[0].logprobs
    pairs = zip(logprobs.top_logprobs, logprobs.token_logprobs, strict=True)
    wrong = sum(value > 0 or max(top.values()) != value for top, value in pairs)
    bars("completions: wrong log-probabilities", wrong, f"{len(logprobs.tokens)} tokens")
    asyncio.run(check_async(bars, url, request, text))
    try:
        client.completions.create(**request | {"n": 0})
        refused = False
    except BadRequestError as error:
        refused = error.body["type"] == "invalid_request"
    bars("completions: answers a bad request", int(not refused), "400 is wanted")


async def check_async(bars: Bars, url: str, request: dict, text: str) -> None:
    """Several calls at once, whole and streamed."""
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    answers = await asyncio.gather(*(client.completions.create(**request) for _ in range(AT_ONCE)))
    bars(
        f"completions, {AT_ONCE} at once: differ",
        sum(answer.choices[0].text != text for answer in answers),
        "one text",
    )

    async def streamed() -> str:
        stream = await client.completions.create(**request, stream=True)
        return "".join([choice.text async for chunk in stream for choice in chunk.choices])

    given = await asyncio.gather(*(streamed() for _ in range(AT_ONCE)))
    bars(
        f"completions, {AT_ONCE} streamed at once: differ",
        sum(each != text for each in given),
        "one text",
    )


def texts(stream: Iterator) -> Iterator[str]:
    """The texts of a stream of completions."""
    for chunk in stream:
        for choice in chunk.choices:
            yield choice.text


def check_chats(bars: Bars, url: str, task: str, node: dict) -> None:
    """Whole, streamed with the numbers of tokens, as parts of a text, with log-probabilities."""
    client = client_of(url)
    request = {"model": task, "messages": MESSAGES, "max_completion_tokens": TOKENS, "temperature": 0}
    whole = client.chat.completions.create(**request)
    text = whole.choices[0].message.content
    bars("chat: another role", int(whole.choices[0].message.role != "assistant"), repr(text))
    chunks = list(
        client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
    )
    given = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    bars("chat streamed: differs", int(given != text), "one text")
    bars(
        "chat streamed: numbers of tokens differ", int(chunks[-1].usage != whole.usage), f"{chunks[-1].usage}"
    )
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    bars("chat streamed: ends differently", int(ends != [whole.choices[0].finish_reason]), f"{ends}")
    parts = [{"role": "user", "content": [{"type": "text", "text": MESSAGES[0]["content"]}]}]
    in_parts = client.chat.completions.create(**request | {"messages": parts})
    bars("chat of parts: differs", int(in_parts.choices[0].message.content != text), "one text")
    for way in ("chat", "chatStream", "chatRunner"):
        bars(f"chat of Node ({way}): differs", int(node[way] != text), "one text")
    bars("chat of Node: numbers of tokens differ", node["chatUsage"] - whole.usage.total_tokens, "usage")
    scored = client.chat.completions.create(**request, logprobs=True, top_logprobs=2)
    content = scored.choices[0].logprobs.content
    wrong = sum(token.logprob > 0 or len(token.top_logprobs) != 2 for token in content)
    bars("chat: wrong log-probabilities", wrong, f"{len(content)} tokens")
    again = [*MESSAGES, whole.choices[0].message.model_dump(), *MESSAGES]
    more = client.chat.completions.create(**request | {"messages": again})
    bars(
        "chat that goes on: no more tokens",
        int(more.usage.prompt_tokens <= whole.usage.prompt_tokens),
        "longer",
    )


def check_langchain(bars: Bars, url: str, task: str) -> None:
    """LangChain's chat model: invoke, stream, batch."""
    model = ChatOpenAI(
        model=task, base_url=f"{url}/v1", api_key="none", max_retries=0, temperature=0, max_tokens=TOKENS
    )
    question = MESSAGES[0]["content"]
    answer = model.invoke(question)
    bars("LangChain: no numbers of tokens", int(not answer.usage_metadata), f"{answer.usage_metadata}")
    streamed = "".join(chunk.content for chunk in model.stream(question))
    bars("LangChain streamed: differs", int(streamed != answer.content), repr(answer.content))
    batch = model.batch([question] * 3)
    bars("LangChain batch: differ", sum(each.content != answer.content for each in batch), "one text")


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[variable]
    main()
