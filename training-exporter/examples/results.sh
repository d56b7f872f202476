#!/usr/bin/env bash
# Trains prompts and their rivals on many data sets, on one GPU. Stopped and started again, it goes on.
#
# usage: results.sh PART DATA OUT
#   DATA     folders with train, test and perhaps dev and task.json, as results_data.py makes them
#   OUT      the folder of the records: OUT/PART/records, OUT/PART/report.html
# parts, each with three seeds:
#   prompts  32-token prompts, 2,000 steps; of cola the best of eight; sst2 calibrated with folds
#   kv       20-token KV prompts, 1,200 steps, the best of three learning rates
#   others   full fine-tuning, LoRA, zero-shot and TF-IDF, 1,000 steps
#   default  prompts as `softcall train` learns them where nothing is said
#   sweep    the same, the best of eight
#   few      all methods but kv, 16 or 64 rows a class
#   lengths, starts, rates
#            the effect of a prompt's length, its start and its learning rate, on sst2 and trec
#   tries    what was tried to better `prompts`, and not kept
#   folds    words compared by cross-validation, one seed (rte: two): each fifth of train is once the test
#   kv-folds KV prompts of rte, which has few rows: settings against overfitting, compared likewise, two seeds
#   cost     the seconds of a single run and of a sweep of eight, alone on the GPU
# environment: SOFTCALL, the command to run (default: uv run --all-extras softcall)
#              BASE, a GGUF file or Hugging Face folder (default: the default base is fetched)
#              DTYPE, DEVICE (default: bfloat16, cuda; on a CPU take float32, and hours), JOBS (default: 2) runs at a time
#              ONLY, names of the data sets (default: all of DATA), SEEDS (default: 3)
set -euo pipefail
script=$(realpath "$0")
usage() { sed -n '4,23p' "$script" >&2 && exit 2; }
[ $# = 3 ] || usage
part=$1
data=$(realpath "$2")
out=$(realpath -m "$3")
cd "$(dirname "$0")/.."
read -ra softcall <<< "${SOFTCALL:-uv run --all-extras softcall}"
options=(--max-text-tokens 256 --dtype "${DTYPE:-bfloat16}" --device "${DEVICE:-cuda}" ${BASE:+--base "$BASE"})
[ "${DEVICE:-cuda}" = cuda ] && options+=(--compile)

compare() { # NAME FOLDERS OPTION...
  local name=$1 folders=$2
  shift 2
  # shellcheck disable=SC2086
  "${softcall[@]}" compare $folders --out "$out/$name" --seeds "${SEEDS:-3}" --jobs "${JOBS:-2}" "${options[@]}" "$@"
}

failed=0
background() { # COMMAND...: runs it beside others, JOBS at a time, because each process takes up to 20 GB of the GPU
  while [ "$(jobs -pr | wc -l)" -ge "${JOBS:-2}" ]; do wait -n || failed=1; done
  "$@" &
}
finished() { # waits for all of them; fails if one has
  while [ -n "$(jobs -p)" ]; do wait -n || failed=1; done
  return $failed
}

named() { # KIND NAME...: folders of DATA
  local kind=$1 name
  shift
  for name in "$@"; do echo "$data/$kind/$name"; done
}

all=$(named all ${ONLY:-$(ls "$data/all")})
some=$(named all ${ONLY:-sst2 trec})
case $part in
  prompts)
    for name in ${ONLY:-$(ls "$data/all")}; do
      dropout=0 smoothing=0 candidates=1 folds=0
      case $name in # each is better on dev there; dropout is not on trec and rte, smoothing on cola, rte, sst2 and trec
        banking77) dropout=0.1 smoothing=0.1 ;;
        sst2) dropout=0.1 folds=5 ;; # its dev is no part of its train
        cola) candidates=8 ;;        # one may stay at the majority class
      esac
      compare prompts "$(named all "$name")" --method prompt --tokens 32 --steps 2000 --batch-size 32 --eval-every 400 \
        --token-dropout "$dropout" --label-smoothing "$smoothing" --sweep "$candidates" --calibration-folds "$folds"
    done
    ;;
  kv)
    plain=()
    for name in ${ONLY:-$(ls "$data/all")}; do
      dropout=0.1 smoothing=0 # as of `prompts`
      case $name in
        banking77) smoothing=0.1 ;;
        sst2) ;;
        *) plain+=("$name") && continue ;;
      esac
      compare kv "$(named all "$name")" --method kv --steps 1200 --batch-size 32 --eval-every 240 --sweep 3 \
        --token-dropout "$dropout" --label-smoothing "$smoothing"
    done
    [ ${#plain[@]} = 0 ] ||
      compare kv "$(named all "${plain[@]}")" --method kv --steps 1200 --batch-size 32 --eval-every 240 --sweep 3
    ;;
  kv-folds)
    folds=$(named folds ${ONLY:-rte-1 rte-2 rte-3})
    folded() { # NAME OPTION...: a process
      JOBS=1 SEEDS=2 compare "kv-folds-$1" "$folds" --method kv --steps 1200 --batch-size 32 --eval-every 240 "${@:2}"
    }
    try() { background folded "$@"; }
    try plain
    try rate-0.003 --learning-rate 0.003
    for tokens in 8 4; do try "tokens-$tokens" --tokens "$tokens" --any-length; done
    for share in 0.3 0.7; do try "dropout-$share" --prompt-dropout "$share"; done
    for decay in 2 10; do try "decay-$decay" --weight-decay "$decay"; done
    try smooth --label-smoothing 0.1
    finished
    ;;
  others)
    compare others "$all" --method zero-shot --method tfidf --method full --method lora \
      --steps 1000 --batch-size 32 --eval-every 200
    ;;
  default) compare default "$all" --method prompt ;;
  sweep) compare sweep "$all" --method prompt --sweep 8 ;;
  few)
    compare few "$(named few ${ONLY:-$(ls "$data/few")})" --method prompt --method lora --method full --method zero-shot --method tfidf
    ;;
  lengths)
    for tokens in 4 8 20 50 100; do compare "length-$tokens" "$some" --method prompt --tokens "$tokens" --any-length; done
    ;;
  starts) for init in text labels vocab random; do compare "start-$init" "$some" --method prompt --init "$init"; done ;;
  rates)
    for rate in 0.001 0.003 0.01 0.03; do compare "rate-$rate" "$some" --method prompt --learning-rate "$rate"; done
    ;;
  tries)
    try() { # NAME STEPS FOLDERS OPTION...
      compare "try-$1" "$3" --method prompt --tokens 32 --steps "$2" --batch-size 32 --eval-every $(($2 / 5)) "${@:4}"
    }
    for dropout in 0.1 0.2; do try "dropout-$dropout-steps-5000" 5000 "$(named words-a banking77)" --token-dropout "$dropout"; done
    try dropout-0.1-steps-4000 4000 "$(named words-a trec)" --token-dropout 0.1
    try no-dropout 2000 "$(named all sst2)"
    try no-smoothing 2000 "$(named all banking77)" --token-dropout 0.1
    try single 2000 "$(named all cola)"
    try smooth 2000 "$(named all cola rte sst2) $(named words-a trec)" --label-smoothing 0.1
    try balanced 2000 "$(named all cola)" --class-balanced
    try words-a 2000 "$(named words-a cola rte trec)"
    try words-a-dropout-0.1 2000 "$(named words-a banking77)" --token-dropout 0.1
    for kind in words-b words-c; do try "$kind" 2000 "$(named "$kind" rte)"; done
    compare try-words-c-others "$(named words-c rte)" --method full --method lora --steps 1000 --batch-size 32 --eval-every 200
    try best-8 2000 "$(named all agnews rte sms_spam sst2 subj) $(named words-a trec)" --sweep 8
    try best-8 2000 "$(named words-a banking77)" --sweep 8 --token-dropout 0.1
    long=(5000 "$(named all banking77)" --token-dropout 0.2)
    try best-8-dropout-0.2-steps-5000 "${long[@]}" --sweep 8
    try smooth-dropout-0.2-steps-5000 "${long[@]}" --label-smoothing 0.1
    try best-8-smooth-dropout-0.2-steps-5000 "${long[@]}" --label-smoothing 0.1 --sweep 8
    ;;
  folds)
    for kind in folds folds-words-a folds-words-b folds-words-c; do
      for name in ${ONLY:-$(ls "$data/$kind")}; do
        dropout=0 steps=2000 seeds=1
        case $name in
          banking77-*) dropout=0.1 ;;
          rte-*) steps=1200 seeds=2 ;; # few rows, and seeds that differ much
        esac
        SEEDS=$seeds compare "$kind" "$(named "$kind" "$name")" --method prompt --tokens 32 --steps "$steps" --batch-size 32 \
          --eval-every $((steps / 5)) --token-dropout "$dropout"
      done
    done
    ;;
  cost) for k in 1 8; do JOBS=1 SEEDS=1 compare "cost-$k" "$(named all sst2)" --method prompt --sweep "$k"; done ;;
  *) usage ;;
esac
