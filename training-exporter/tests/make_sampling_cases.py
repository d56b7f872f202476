"""Makes src/test/resources/sampling.json: what transformers' logits processors make of rows of logits.

The processors are called in the server's order: bias, penalties, temperature, min_p, top_k, top_p.
transformers has no presence and frequency penalties; these follow OpenAI's formula here.
Run it from any folder: `python tests/make_sampling_cases.py`.
"""

import json
from pathlib import Path

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

CASES = Path(__file__).resolve().parents[2] / "src/test/resources/sampling.json"
VOCABULARY = 128
DEFAULTS = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "logit_bias": {},
}

SETTINGS = [
    {},
    {"temperature": 0.7},
    {"temperature": 2.5},
    {"top_k": 1},
    {"top_k": 7},
    {"top_k": 127},
    {"top_p": 0.1},
    {"top_p": 0.9},
    {"top_p": 0.999},
    {"min_p": 0.05},
    {"min_p": 1.0},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8},
    {"presence_penalty": 1.5},
    {"frequency_penalty": -0.7},
    {"logit_bias": {"3": 5.0, "17": -100.0, "127": 2.5}},
    {"temperature": 0.6, "min_p": 0.02, "top_k": 20, "top_p": 0.8},
    {
        "temperature": 1.4,
        "top_p": 0.95,
        "top_k": 50,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "logit_bias": {"5": 1.0},
    },
]


def probabilities(logits: torch.Tensor, prompt: list[int], answer: list[int], wanted: dict) -> torch.Tensor:
    """The distribution from which the next token is drawn, [vocabulary]."""
    scores = logits.clone()
    for token, bias in wanted["logit_bias"].items():
        scores[int(token)] += bias
    ids = torch.tensor([prompt + answer])
    scores = RepetitionPenaltyLogitsProcessor(wanted["repetition_penalty"])(ids, scores[None])[0]
    counts = torch.bincount(torch.tensor(answer), minlength=VOCABULARY)
    scores = scores - counts * wanted["frequency_penalty"] - (counts > 0) * wanted["presence_penalty"]
    warpers = LogitsProcessorList([TemperatureLogitsWarper(wanted["temperature"])])
    if wanted["min_p"] > 0:
        warpers.append(MinPLogitsWarper(wanted["min_p"]))
    if wanted["top_k"] > 0:
        warpers.append(TopKLogitsWarper(wanted["top_k"]))
    if wanted["top_p"] < 1:
        warpers.append(TopPLogitsWarper(wanted["top_p"]))
    return warpers(ids, scores[None])[0].softmax(-1)


def main() -> None:
    generator = torch.Generator().manual_seed(20261201)
    cases = []
    for wanted in SETTINGS:
        wanted = DEFAULTS | wanted
        logits = 3 * torch.randn(VOCABULARY, generator=generator, dtype=torch.float64)
        logits = (logits * 2**16).round() / 2**16  # exact as floats, and short as text
        prompt, answer = (torch.randint(VOCABULARY, (n,), generator=generator).tolist() for n in (40, 25))
        answer += answer[:5]
        kept = probabilities(logits, prompt, answer, wanted)
        cases.append(
            wanted
            | {
                "logits": logits.tolist(),
                "prompt": prompt,
                "answer": answer,
                "probabilities": {str(i): kept[i].item() for i in kept.nonzero()[:, 0].tolist()},
                "logprobs": logits.log_softmax(-1)[:10].tolist(),
            }
        )
    CASES.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
    print(f"{CASES}: {len(cases)} cases")


if __name__ == "__main__":
    main()
