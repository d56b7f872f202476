"""`decoder.pt` of IBM's TGIS and of caikit: a bare tensor [tokens, hidden], saved with `torch.save`."""

from pathlib import Path

from softcall.core.errors import SoftcallError
from softcall.prompt_formats.prompt import Prompt
from softcall.prompt_formats.tensor_file import blamed_on, read_bare_tensor

DECODER = "decoder.pt"
ENCODER = "encoder.pt"


def recognises(source: Path) -> bool:
    """Whether `source` is a folder with one of the two files, or a `.pt` file."""
    if source.is_dir():
        return any((source / name).exists() for name in (DECODER, ENCODER))
    return source.suffix == ".pt"


def read(source: Path, task_id: int | None) -> Prompt:
    """Return the prompt; raise `SoftcallError` if an `encoder.pt` marks an encoder-decoder model."""
    folder = source if source.is_dir() else source.parent
    file = source / DECODER if source.is_dir() else source
    if file.name in (DECODER, ENCODER) and (folder / ENCODER).exists():
        raise SoftcallError(
            f"{folder / ENCODER}: a prompt for an encoder, so {folder.name} belongs to an encoder-decoder"
            f" model, and bases are decoders; expected {DECODER} alone"
        )
    vectors = read_bare_tensor(file)
    with blamed_on(file):
        return Prompt(vectors, "TGIS decoder.pt")
