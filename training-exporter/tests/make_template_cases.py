"""Makes src/test/resources/template-cases.json: filled and truncated templates for Python and Java alike.

Expected ids come from the reference below, which follows the steps of docs/task-artifact.md word by word and
shares nothing with softcall.template. Run it from any folder: `python tests/make_template_cases.py`.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
CASES = REPOSITORY / "src/test/resources/template-cases.json"
TOKENIZERS = {
    "tiny": REPOSITORY / "src/test/resources/tiny/base/tokenizer.json",
    "smollm2": REPOSITORY / "training-exporter/src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1/tokenizer.json",
}

INTENT = "{text}\nIntent:"
PAIR = "Premise: {text1}\nHypothesis: {text2}\nAnswer:"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # one sign on screen, seven code points
FLAG = "\U0001f1ef\U0001f1f5"
FIRST_HALF, SECOND_HALF = "\ud83d", "\ude80"  # of a surrogate pair, which JSON's escapes can hold

# (template, texts): checked whole, and cut to every limit from 1 token to the whole row.
EVERY_LIMIT = [
    (INTENT, ["My card has not arrived yet."]),
    (INTENT, ["カードがまだ届きません。"]),
    (INTENT, [f"so happy {FAMILY}{FLAG}!"]),
    ("文章: {text}\n分類:", ["返金はいつ届きますか？"]),
    (PAIR, ["A man sleeps.", "A person is awake."]),
    (PAIR, ["ねこ", "A long hypothesis with many more words than the premise has"]),
    ("{text}", ["only the text"]),
    ("Classify {text} now", ["cafe\u0301 and nai\u0308ve"]),
    ("{text2} | {text1}", ["one two three", "four five six"]),
    (INTENT, [f"half{FIRST_HALF} of {SECOND_HALF}{FIRST_HALF} \U0001f680 pair{SECOND_HALF}"]),
    ("{text1}{text2}", [f"joined {FIRST_HALF}", f"{SECOND_HALF} never"]),
]

# (template, texts): checked whole only.
WHOLE = [
    (INTENT, [""]),
    (INTENT, [" "]),
    (INTENT, ["a"]),
    (INTENT, ["trailing spaces   "]),
    (INTENT, ["\n\nlines\n\n"]),
    (INTENT, ["tab\tand\r\nreturn"]),
    (INTENT, ["a text with {text} in it"]),
    (INTENT, ["{text1} and {text2}"]),
    (PAIR, ["{text2}", "{text1}"]),
    (PAIR, ["", ""]),
    ("{text1}{text2}", ["joined", "together"]),
    ("{text}", ["<|im_start|>user"]),
    ("{{text}}", ["braces stay"]),
    ("\\{text} \\n $1 %s", ["nothing else is special: \\1 $& %d"]),
    ("{Text} {text3} {text}", ["other braces are words"]),
    ("   {text}   ", ["  spaces on both sides  "]),
    ("{text}：", ["全角ＡＢＣと半角ｶﾅ"]),
    (INTENT, ["Å vs A\u030a vs \u212b"]),
    (INTENT, [f"\U0001f600\U0001f600 {FAMILY} 👍\U0001f3fd e\u0301\u0323"]),
    (INTENT, ["שלום עולם"]),
    (INTENT, ["नमस्ते दुनिया"]),
    (INTENT, ["zero\u200bwidth\u00a0space\u2028line"]),
    (INTENT, ["\x00\x01 control"]),
    (INTENT, ["1234567890 3.14 -7e10"]),
    (INTENT, [FIRST_HALF]),
    (INTENT, [SECOND_HALF]),
    ("{text1}{text2}", [FIRST_HALF, SECOND_HALF]),
    ("{text1}\U0001f680{text2}", [FIRST_HALF, SECOND_HALF]),
]

# (template, texts, limits): chosen corners.
CHOSEN = [
    (PAIR, ["same words here", "same words here"], [10, 12, 14, 16]),  # ties: the later field gives first
    (PAIR, ["", "only the second has tokens"], [9, 11, 13]),
    (PAIR, ["only the first has tokens", ""], [9, 11, 13]),
    (INTENT, ["word " * 300], [16, 64, 256]),
    (INTENT, ["単語" * 150], [16, 64, 256]),
    (INTENT, [FAMILY * 20], [5, 17, 40]),
    (INTENT, [f"{SECOND_HALF}{FIRST_HALF} " * 50], [5, 16, 64]),
    ("a template that is long enough to fill the row by itself, {text} and more", ["short"], [1, 3, 5]),
]


def encode(tokenizer: Tokenizer, string: str) -> tuple[list[int], list[tuple[int, int]]]:
    encoding = tokenizer.encode(string, add_special_tokens=False)
    return encoding.ids, encoding.offsets


def whole(text: str) -> str:
    """U+FFFD in place of each half of a surrogate pair."""
    return "".join("\ufffd" if 0xD800 <= ord(character) <= 0xDFFF else character for character in text)


def substitute(template: str, texts: dict[str, str]) -> tuple[str, dict[str, range]]:
    """The filled string, and the positions of each field in it, found by walking over the template once."""
    filled, spans, position = [], {}, 0
    while position < len(template):
        field = next((name for name in texts if template.startswith("{" + name + "}", position)), None)
        if field is None:
            filled.append(template[position])
            position += 1
        else:
            spans[field] = range(len(filled), len(filled) + len(texts[field]))
            filled.extend(texts[field])
            position += len(field) + 2
    return "".join(filled), spans


def reference(
    tokenizer: Tokenizer, template: str, texts: dict[str, str], limit: int | None
) -> list[int] | None:
    """Ids of at most `limit` tokens, or None where the row is refused."""
    filled, spans = substitute(template, texts)
    ids, offsets = encode(tokenizer, filled)
    if limit is None or len(ids) <= limit:
        return ids

    tokens = {  # in the order in which the template names the fields
        field: [start for start, end in offsets if end > start and start >= span.start and end <= span.stop]
        for field, span in spans.items()
    }
    lost: dict[str, int] = {}
    for _ in range(len(ids) - limit):
        most = max(len(starts) for starts in tokens.values())
        if most == 0:
            return None
        field = [name for name, starts in tokens.items() if len(starts) == most][-1]
        lost[field] = tokens[field].pop()
    shorter = {
        field: text[: lost[field] - spans[field].start] if field in lost else text
        for field, text in texts.items()
    }
    return reference(tokenizer, template, shorter, limit)


def cases(name: str, tokenizer: Tokenizer) -> list[dict]:
    made = []

    def add(template: str, texts: list[str], limit: int | None) -> list[int] | None:
        fields = ["text"] if len(texts) == 1 else ["text1", "text2"]
        ids = reference(tokenizer, template, dict(zip(fields, map(whole, texts), strict=True)), limit)
        made.append({"tokenizer": name, "template": template, "texts": texts, "limit": limit, "ids": ids})
        return ids

    for template, texts in EVERY_LIMIT:
        for limit in range(1, len(add(template, texts, None) or [])):
            add(template, texts, limit)
    for template, texts in WHOLE:
        add(template, texts, None)
    for template, texts, limits in CHOSEN:
        for limit in limits:
            add(template, texts, limit)
    return made


def main() -> None:
    made = []
    for name, path in TOKENIZERS.items():
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        made += cases(name, tokenizer)
    # Escapes, because joiners and combining marks cannot be seen.
    CASES.write_text("[\n" + ",\n".join(map(json.dumps, made)) + "\n]\n")
    refused = sum(case["ids"] is None for case in made)
    print(f"{CASES}: {len(made)} cases, {refused} of them refused")


if __name__ == "__main__":
    main()
