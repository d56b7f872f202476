"""`softcall push`: put a task into a store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softcall.artifact.metadata import Kind
from softcall.commands.options import EndpointOption, StoreOption, StrictOption
from softcall.commands.task_flags import TaskFlags
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable
from softcall.stores.addresses import open_store
from softcall.stores.store import Condition, check_task

if TYPE_CHECKING:
    from softcall.artifact.artifact import Artifact
    from softcall.artifact.generation import Generation
    from softcall.artifact.task_description import TaskDescription
    from softcall.base.bundle import Bundle
    from softcall.prompt_formats import Prompt


def push(
    source: Annotated[
        Path,
        typer.Argument(
            help="An artifact made by `softcall train`, or a prompt in another format: a folder made by "
            "PEFT, decoder.pt of TGIS, a .npy array; with --context a text.",
            metavar="SOURCE",
            show_default=False,
        ),
    ],
    task: Annotated[
        str,
        typer.Argument(
            help="What callers name: banking77, acme/sentiment.", metavar="TASK", show_default=False
        ),
    ],
    store: StoreOption,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Base bundle that the prompt belongs to. Checked for an artifact; other formats need it.",
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help=r"Other formats: how a text is shown, such as '{text}\nIntent:'; \n is a line break.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Other formats: LABEL, or LABEL=WORDS with the words that stand for it; repeated, in order.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="Other formats: what the task does; generation writes text.", show_default="classification"
        ),
    ] = None,
    chat: Annotated[
        bool,
        typer.Option(
            "--chat", help="Generation: the prompt was trained on the base's chat template, so it has none."
        ),
    ] = False,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="Generation: at most this many new tokens, where a request names no number.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            help=r"Generation: a text that ends an answer; repeated; \n is a line break.", show_default=False
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Generation: 0, the most probable token, to 2.", metavar="T", show_default=False),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Generation: draw from the tokens that have this probability together.",
            metavar="P",
            show_default=False,
        ),
    ] = None,
    task_file: Annotated[
        Path | None,
        typer.Option(
            help="Other formats: JSON with the kind, the template, labels or settings.",
            show_default="task.json in the folder",
        ),
    ] = None,
    context: Annotated[
        bool,
        typer.Option(
            "--context",
            help="SOURCE is a text: instructions, examples, a document. What --base computes of it stands in "
            "front of every text of the task, without training.",
        ),
    ] = False,
    task_id: Annotated[
        int | None,
        typer.Option(
            help="Multitask prompt tuning: which of its tasks, from 0.", metavar="N", show_default=False
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            help="Store the prompt's keys and values ready made for this variant of --base, such as int8; "
            "repeated. Servers of that variant then need no full-precision base.",
            metavar="VARIANT",
            show_default=False,
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            help="Sign the artifact with this Ed25519 private key (PEM), for servers that ask for it.",
            metavar="KEY",
            show_default=False,
        ),
    ] = None,
    strict: StrictOption = False,
    create: Annotated[bool, typer.Option("--create", help="Only if the store has no such task.")] = False,
    if_version: Annotated[
        str | None,
        typer.Option(
            help="Only if the stored task is at this version.", metavar="VERSION", show_default=False
        ),
    ] = None,
    endpoint_url: EndpointOption = None,
) -> None:
    """Put a task into a store, where servers find it on their next call.

    Example: softcall push intents.safetensors banking77 --store s3://models/prompts

    Example: softcall push my-peft-folder spam --store file:tasks --base base
    --template '{text}\\nSpam:' --label spam=' yes' --label ham=' no'

    Example: softcall push my-peft-folder acme/reports --store file:tasks --base base --kind generation
    --template 'Data: {text}\\nText:' --max-tokens 100

    Example: softcall push --context examples.txt spam --store file:tasks --base base
    --template '{text}\\nSpam:' --label spam=' yes' --label ham=' no'
    """
    if create and if_version is not None:
        raise SoftcallError("--create and --if-version exclude each other")
    check_task(task)
    if prefix and base is None:
        raise SoftcallError(
            "--prefix needs --base, the folder made by `softcall base` that encodes the prompt"
        )
    target = open_store(store, endpoint_url)
    settings = {"max_tokens": max_tokens, "stop": stop, "temperature": temperature, "top_p": top_p}
    flags = TaskFlags(
        template, label, kind, chat, {name: value for name, value in settings.items() if value is not None}
    )

    from softcall.artifact.artifact import Artifact, ClassificationArtifact
    from softcall.base.bundle import Bundle
    from softcall.commands.named_base import require_named_base
    from softcall.prompt_formats import read_prompt
    from softcall.prompt_formats.context import read_context

    if context and task_id is not None:
        raise SoftcallError("--context and --task-id exclude each other")
    if not context and (opened := Artifact.open(source)) is not None:
        artifact, data = opened
        others = {"task file": task_file, "task id": task_id}
        if given := [*flags.given, *(name for name, value in others.items() if value is not None)]:
            raise SoftcallError(f"{source} is an artifact, which has its own {' and '.join(given)}")
        _require_base(artifact, base)
    else:
        prompt = None if context else read_prompt(source, task_id)
        if base is None:
            raise SoftcallError(
                f"{source} does not record its base; give --base with the folder made by `softcall base`"
            )
        bundle = Bundle.open(base)
        if prompt is None:
            prompt = read_context(source, bundle)
        require_named_base(source, prompt, bundle, strict)
        artifact = _fold(source, prompt, bundle, flags.description(source, prompt, task_file))
        data = artifact.to_bytes()

    if prefix:
        artifact = artifact.with_prefixes(Bundle.open(base), prefix)
        data = artifact.to_bytes()

    if sign is not None:
        from softcall.artifact.signature import Signer

        signer = Signer.open(sign)
        data = signer.sign(data, task, datetime.now(UTC))

    from softcall.prompt_formats.peft_output import peft_config

    expected = Condition.ABSENT if create else Condition.NONE if if_version is None else if_version
    config = peft_config(artifact.prompt_type, artifact.base_name, artifact.prompt.shape)
    version = target.put(task, data, config, expected)
    if sign is not None:
        typer.echo(f"note: signed; softcall.store.signed-by={signer.public} accepts it", err=True)
    does = f"{len(artifact.labels)} labels" if isinstance(artifact, ClassificationArtifact) else "writes text"
    size = f"{len(data)} bytes, {artifact.tokens} tokens, {does}"
    typer.echo(f"{task} {printable(version)} {size}")


def _fold(
    source: Path, prompt: "Prompt", bundle: "Bundle", description: "TaskDescription | Generation"
) -> "Artifact":
    try:
        return prompt.fold(bundle, description)
    except SoftcallError as error:
        raise SoftcallError(f"{source}: {error}") from None


def _require_base(artifact: "Artifact", base: Path | None) -> None:
    if base is not None:
        from softcall.base.bundle import Bundle

        artifact.require_base(Bundle.open(base).identity)
