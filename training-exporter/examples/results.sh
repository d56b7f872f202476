#!/usr/bin/env bash
# Trains prompts on many data sets, and beside them whole models, on one GPU. Stopped and started again, it goes on.
#
# usage: results.sh compare|few|sweep|cost DATA OUT
#   DATA     folders with train, test and perhaps dev and task.json, as results_data.py makes them
#   compare  20-token prompts and full fine-tuning on each of DATA/all, three seeds each: OUT/all/report.html, OUT/all/runs
#   few      all methods on each of DATA/few, 16 or 64 rows a class: OUT/few
#   sweep    the best of a sweep of 8 for each of DATA/all: OUT/sweep
#   cost     the seconds of a single run, and of a sweep of 8, alone on the GPU: OUT/cost
# environment: SOFTCALL, the command to run (default: uv run --all-extras softcall)
#              BASE, a GGUF file or Hugging Face folder (default: the default base is fetched)
#              DTYPE, DEVICE (default: bfloat16, cuda; on a CPU take float32, and hours), JOBS (default: 8) runs at a time
#              STEPS (default: 1000; for trying this out), COST_ON (default: sst2 banking77), where cost is measured
set -euo pipefail
data=$(realpath "$2")
out=$(realpath -m "$3")
cd "$(dirname "$0")/.."
read -ra softcall <<< "${SOFTCALL:-uv run --all-extras softcall}"
steps=${STEPS:-1000}
every=$(((steps + 4) / 5))
options=(--tokens 20 --max-text-tokens 256 --dtype "${DTYPE:-bfloat16}" --device "${DEVICE:-cuda}" ${BASE:+--base "$BASE"})
mkdir -p "$out"

train() { # FOLDER OUT OPTION...: as `compare` does, and to an artifact
  local folder=$1 to=$2 dev
  shift 2
  dev=$(find "$folder" -name 'dev.*')
  "${softcall[@]}" train "$(find "$folder" -name 'train.*')" --test "$(find "$folder" -name 'test.*')" ${dev:+--dev "$dev"} \
    --template "$(template "$folder")" --out "$to.safetensors" --run-dir "$to.run" --steps "$steps" --batch-size 32 \
    --eval-every "$every" --patience 0 "${options[@]}" "$@" > "$to.log" 2>&1
}

template() { # FOLDER: the template of its task.json
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["template"].replace("\n", r"\n"))' "$1/task.json"
}

case $1 in
  compare)
    "${softcall[@]}" compare "$data"/all/* --out "$out/all" --method prompt --method full --seeds 3 --jobs "${JOBS:-8}" \
      --steps "$steps" --batch-size 32 --eval-every "$every" "${options[@]}" > "$out/all.log"
    ;;
  few)
    "${softcall[@]}" compare "$data"/few/* --out "$out/few" --seeds 3 --jobs "${JOBS:-8}" "${options[@]}" > "$out/few.log"
    ;;
  sweep)
    mkdir -p "$out/sweep"
    running=0
    for folder in "$data"/all/*; do
      [ "$running" -lt "${JOBS:-8}" ] || { wait -n; running=$((running - 1)); }
      train "$folder" "$out/sweep/$(basename "$folder")" --sweep 8 &
      running=$((running + 1))
    done
    while [ "$running" -gt 0 ]; do wait -n; running=$((running - 1)); done
    ;;
  cost)
    mkdir -p "$out/cost"
    for task in ${COST_ON:-sst2 banking77}; do
      for sweep in 1 8; do
        name=$out/cost/$task-$sweep
        [ -e "$name.seconds" ] && continue
        rm -rf "$name.run"
        train "$data/all/$task" "$name" --sweep "$sweep"
        # The loop alone: loading the base and scoring the test rows cost the same with and without a sweep.
        grep -o 'trained in [0-9.]* s' "$name.log" > "$name.seconds"
      done
    done
    ;;
  *)
    sed -n '4,9p' "$0" >&2
    exit 2
    ;;
esac
