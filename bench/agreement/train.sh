#!/usr/bin/env bash
# Trains the prompts on which the int8 variant is judged beside the shipped ones: sst2, trec and agnews, side by side on one GPU.
# Killed and started again, it goes on. Their data may not be redistributed: they are no part of this repository.
#
# usage: train.sh DATA OUT   DATA/{sst2,trec,agnews}/train.jsonl and what else is named below; OUT becomes a file store
# environment: SOFTCALL, the command to run (default: uv run --all-extras softcall)
#              BASE, a GGUF file or Hugging Face folder (default: the default base is fetched)
#              DTYPE, DEVICE (default: bfloat16, cuda; on a CPU take float32, and hours)
set -euo pipefail
data=$(realpath "$1")
out=$(realpath -m "$2")
cd "$(dirname "$0")/../../training-exporter"
read -ra softcall <<< "${SOFTCALL:-uv run --all-extras softcall}"

train() { # TASK STEPS OPTION...
  local task=$1 steps=$2
  shift 2
  mkdir -p "$out/$task"
  "${softcall[@]}" train "$data/$task/train.jsonl" --out "$out/$task/adapter_model.safetensors" \
    --run-dir "${RUNS:-runs}/$task" --steps "$steps" --eval-every 100 --patience 0 --seed 13 --tokens 20 --init text \
    --batch-size 32 --learning-rate 0.01 --max-text-tokens 128 \
    --dtype "${DTYPE:-bfloat16}" --device "${DEVICE:-cuda}" ${BASE:+--base "$BASE"} "$@"
}

train sst2 1000 --dev "$data/sst2/dev.jsonl" --test "$data/sst2/test.jsonl" --template '{text}\nSentiment:' --head verbalizer &
sst2=$!
train trec 1200 --test "$data/trec/test.jsonl" --template '{text}\nQuestion type:' &
trec=$!
train agnews 1200 --dev "$data/agnews/dev.jsonl" --test "$data/agnews/test_2k.jsonl" --template '{text}\nTopic:' &
agnews=$!
wait "$sst2"
wait "$trec"
wait "$agnews"
