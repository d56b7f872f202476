#!/bin/bash
# Measurements on a machine without a network that has more cores than those that are measured. What bench/cpu/pack.sh packed comes
# first, from the root of a checkout:
#   bash bench/cpu/run.sh recv build/cpu/part1                   keeps a part; once for each, in order
#   bash bench/cpu/run.sh llama                                  compiles llama.cpp; what that needs has come with parts 1 and 2
#   bash bench/cpu/run.sh python -m softcall_bench --cores 2,3   unpacks, makes base and AOT cache, then runs Python (25 minutes)
# The results are in build/bench/results.json; `softcall_bench --results FILE --report` prints them anywhere.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kept=${SOFTCALL_CPU_KEPT:-/tmp/softcall-cpu}
. "$root/bench/travel.sh"
mkdir -p "$kept"
exec 9> "$kept/lock" # whoever needs what another unpacks or compiles waits until it is there

unpacked() { # NAME FOLDER: once
    [ ! -f "$kept/$1.unpacked" ] || return 0
    mkdir -p "$2" && whole "$1.tar.xz" | xz -dc -T0 | tar x -C "$2" && touch "$kept/$1.unpacked"
}
# An environment whose own packages come before those of PyTorch's.
environment() {
    local site
    if [ ! -f "$kept/venv/complete" ]; then
        unpacked python "$kept"
        python3 -m venv --without-pip "$kept/venv"
        site=$("$kept/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        cp -a "$kept/python/." "$site/"
        printf '%s\n' "$root/training-exporter/src" "$root/bench/src" > "$site/softcall.pth"
        python3 -c 'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("torch").origin).parents[1])' > "$site/torch.pth"
        printf '#!/bin/sh\nexec "%s" -m softcall "$@"\n' "$kept/venv/bin/python" > "$kept/venv/bin/softcall"
        chmod +x "$kept/venv/bin/softcall"
        touch "$kept/venv/complete"
    fi
    python=$kept/venv/bin/python
    export JAVA_HOME=$kept/jre SOFTCALL_CACHE=$kept/cache HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
}

# The base and the server, where the scripts of the repository look for them.
server() {
    unpacked programs "$kept/cache"
    unpacked jre "$kept"
    unpacked app "$root"
    unpacked native "$root/target/quarkus-app"
    [ -f "$kept/cache/$gguf" ] || whole "$gguf" > "$kept/cache/$gguf"
    export SOFTCALL_BENCH_COMMIT
    SOFTCALL_BENCH_COMMIT=$(cat "$root/target/commit")
    [ -f "$root/build/base/base.json" ] || "$python" -m softcall base "$root/build/base" --from-graph --replace
    [ -f "$root/target/quarkus-app/server.aot" ] || python3 "$root/tools/aot_cache.py"
}

case ${1:-} in
recv)
    receive "$2" ;;
llama)
    flock 9
    environment
    unpacked llama "$kept"
    python3 -m pip install --quiet --no-deps --no-build-isolation --no-index --target "$kept/llama/built" "$kept/llama/source" \
        -C cmake.define.GGML_NATIVE=ON -C cmake.define.LLAVA_BUILD=OFF
    echo "$kept/llama/built" > "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/llama.pth" ;;
python)
    shift
    flock 9
    environment
    server
    flock -u 9
    cd "$root"
    exec "$python" "$@" ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
