#!/usr/bin/env bash
# Trains the two tasks that ship with Softcall, both at once on one GPU (an H100 takes under five minutes), and writes
# {banking77,spamassassin}/adapter_model.safetensors beside this script. Killed and started again, it goes on.
#
# usage: train_shipped.sh [BASE]   BASE is a GGUF file or a Hugging Face folder; without it the default base is fetched
# environment: SOFTCALL, the command to run (default: uv run --all-extras softcall)
#              DTYPE, DEVICE (default: bfloat16, cuda; on a CPU take float32, and hours)
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra softcall <<< "${SOFTCALL:-uv run --all-extras softcall}"
options=(--tokens 20 --init text --head trained --dtype "${DTYPE:-bfloat16}" --device "${DEVICE:-cuda}" ${1:+--base "$1"})

"${softcall[@]}" train examples/banking77/train.jsonl --test examples/banking77/test.jsonl --dev-fraction 0.05 \
  --template '{text}\nIntent:' --max-text-tokens 128 \
  --steps 2500 --batch-size 32 --learning-rate 0.02 --head-learning-rate 0.001 --eval-every 250 --patience 0 \
  --out examples/banking77/adapter_model.safetensors --run-dir runs/banking77 "${options[@]}" &
banking77=$!

"${softcall[@]}" train examples/spamassassin/train.jsonl.gz --dev examples/spamassassin/dev.jsonl.gz \
  --test examples/spamassassin/test.jsonl.gz --template 'E-mail: {text}\nIs this e-mail ham or spam? Answer:' --max-text-tokens 256 \
  --steps 1500 --batch-size 32 --learning-rate 0.02 --head-learning-rate 0.001 --eval-every 150 --patience 0 \
  --out examples/spamassassin/adapter_model.safetensors --run-dir runs/spamassassin "${options[@]}" &
spamassassin=$!

wait "$banking77"
wait "$spamassassin"
