#!/usr/bin/env bash
# Trains the two tasks that ship with Softcall, both at once on one GPU, and writes
# tasks/{banking77,spamassassin}/adapter_model.safetensors. Killed and started again, it goes on.
#
# The shipped prompts came from these options; spamassassin's by `results.sh sweep`, which has the same rows and options
# (its command here has not been run since).
# Test accuracy: banking77 .926 of 3,080 rows, spamassassin .986 of 588. banking77's seed is the better of two (13, 14) on dev.
#
# usage: train_shipped.sh [BASE]   BASE is a GGUF file or a Hugging Face folder; without it the default base is fetched
# environment: SOFTCALL, the command to run (default: uv run --all-extras softcall)
#              DTYPE, DEVICE (default: bfloat16, cuda; on a CPU take float32, and hours)
#              OUT, where the tasks go (default: tasks/ of this repository)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-../tasks}
read -ra softcall <<< "${SOFTCALL:-uv run --all-extras softcall}"
options=(--tokens 20 --init text --batch-size 32 --patience 0)
options+=(--dtype "${DTYPE:-bfloat16}" --device "${DEVICE:-cuda}" ${1:+--base "$1"})

"${softcall[@]}" train examples/banking77/train.jsonl --dev-fraction 0.05 --test examples/banking77/test.jsonl \
  --template 'Message: {text}\nThis message is about' --max-text-tokens 128 --learning-rate 0.01 --head-learning-rate 0.001 \
  --label-smoothing 0.1 --token-dropout 0.1 --steps 2000 --eval-every 250 --seed 14 --compile \
  --out "$out/banking77/adapter_model.safetensors" --run-dir runs/banking77 "${options[@]}" &
banking77=$!

"${softcall[@]}" train examples/spamassassin/train.jsonl.gz --dev examples/spamassassin/dev.jsonl.gz \
  --test examples/spamassassin/test.jsonl.gz --template 'E-mail: {text}\nIs this e-mail ham or spam? Answer:' \
  --max-text-tokens 256 --sweep 8 --seed 13 --compile \
  --out "$out/spamassassin/adapter_model.safetensors" --run-dir runs/spamassassin "${options[@]}" &
spamassassin=$!

wait "$banking77"
wait "$spamassassin"
