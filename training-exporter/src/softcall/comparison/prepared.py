"""A data set, prepared for all methods of a comparison."""

from dataclasses import dataclass

from softcall.artifact.template import Template
from softcall.base.source import LoadedBase
from softcall.comparison.config import CompareConfig, DataSet, Method
from softcall.core.errors import SoftcallError
from softcall.training.initialization import verbalizers
from softcall.training.inputs.examples import Examples, encode
from softcall.training.inputs.rows import TrainingRows


@dataclass(frozen=True)
class Prepared:
    """The rows of a data set, the words of its labels, and its parts as token ids."""

    data: DataSet
    rows: TrainingRows
    words: list[str]
    examples: dict[str, Examples]


def prepare(config: CompareConfig, data: DataSet, base: LoadedBase) -> Prepared:
    """Read the rows of `data`, and encode them for `base`."""
    training = config.training(data, Method.PROMPT, config.first_seed)
    rows = TrainingRows.read(training)
    if rows.is_multi_label:
        raise SoftcallError(
            f"{data.train}: its rows have lists of labels; softcall compare takes rows of one label"
        )
    template = Template(training.template or rows.default_template)
    examples = {
        name: encode(part, rows.labels, template, base, config.max_text_tokens)
        for name, part in (("train", rows.train), ("dev", rows.dev), ("test", rows.test))
    }
    return Prepared(data, rows, verbalizers(training, rows.labels), examples)
