"""The default template of rows."""

from collections.abc import Sequence

from softcall.artifact.template import PAIR, SINGLE
from softcall.datasets.rows import Row

SINGLE_TEMPLATE = "{text}\nLabel:"
PAIR_TEMPLATE = "{text1}\n{text2}\nLabel:"


def fields_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the fields of a template for rows of one text, or of two."""
    return PAIR if len(rows[0].texts) == 2 else SINGLE


def default_template(rows: Sequence[Row]) -> str:
    """Return the default template for rows of one text, or of two."""
    return PAIR_TEMPLATE if fields_of(rows) == PAIR else SINGLE_TEMPLATE
