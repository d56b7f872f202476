#!/bin/bash
# On a machine with a GPU, Python with PyTorch (CUDA 13) and transformers, and no network: the tests and the bars of
# docs/cuda.md. What bench/cuda/pack.sh packed comes first, from the root of a checkout:
#   bash bench/cuda/run.sh recv build/cuda/part1     keeps a part; once for each, in any order
#   bash bench/cuda/run.sh measure                   unpacks, makes the base, runs CudaTest, then measures (about 8 minutes)
#   bash bench/cuda/run.sh measure --only settings   other settings than the defaults; or some of parity, speed, tasks, memory
# `measure --rehearse` does it all on the processor with a few texts.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kept=${SOFTCALL_CUDA_KEPT:-/tmp/softcall-cuda}
python=$(command -v python3)
. "$root/bench/travel.sh"

unpack() { # everything that came, once
    [ ! -f "$kept/unpacked" ] || return 0
    for name in native jre app python; do whole "$name.tar.xz" | xz -dc -T0 | tar x -C "$kept"; done
    whole provider.xz | xz -dc -T0 > "$kept/native/libonnxruntime_providers_cuda.so"
    mkdir -p "$kept/cache" && whole "$gguf" > "$kept/cache/$gguf"
    touch "$kept/unpacked"
}
place() { # where the scripts of the repository look for them
    mkdir -p "$root/target" "$root/build"
    if [ ! -d "$root/target/quarkus-app" ]; then cp -a "$kept/target/." "$root/target/"; fi
    mkdir -p "$root/target/quarkus-app/native"
    ln -sfn "$kept/native" "$root/target/quarkus-app/native/Linux-x86_64"
}
environment() {
    local nvidia
    nvidia=$("$python" -c 'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("torch").origin).parents[1] / "nvidia")')
    export JAVA_HOME=$kept/jre SOFTCALL_CACHE=$kept/cache HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
    # Behind the site-packages of PyTorch: they only fill gaps.
    export PYTHONPATH=$root/training-exporter/src:$root/bench/src
    export SOFTCALL_BENCH_GAPS=$kept/python/site
    export PATH=$kept/python/wrk/usr/bin:$JAVA_HOME/bin:$PATH
    local folders # find fails where there is no CUDA beside PyTorch's
    folders=$(find "$nvidia" /usr/local/cuda*/lib64 -name 'lib*.so*' -printf '%h\n' 2> /dev/null | sort -u | paste -sd:) || true
    LD_LIBRARY_PATH=$kept/native:$folders
    LD_LIBRARY_PATH+=:$(dirname "$(find "$kept/python/wrk" -name 'libluajit*.so*' | head -1)")
    export LD_LIBRARY_PATH
}
with_gaps() { "$python" -c 'import os, sys; sys.path.append(os.environ["SOFTCALL_BENCH_GAPS"]); exec(sys.argv.pop(1))' "$@"; }

case ${1:-} in
recv)
    receive "$2" ;;
measure)
    shift
    unpack
    place
    environment
    if [ ! -f "$root/build/base/fp16/trunk.onnx.data" ]; then
        with_gaps "
from pathlib import Path
from softcall.export.kept_graph import base_from_graph
from softcall.base.source import Source
print(base_from_graph(Source.resolve(None), Path('$root/build/base'), variants=['fp16'], overwrite=True)[1])"
    fi
    (cd "$root" && "$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED -Donnxruntime.native.path="$kept/native" \
        -DRUST_LIBRARY_PATH="$kept/native/libtokenizers.so" -jar target/junit/junit-platform-console-standalone-*.jar execute \
        --class-path "target/classes:target/test-classes:$(printf '%s:' target/quarkus-app/lib/main/*.jar target/quarkus-app/lib/boot/*.jar)" \
        --select-class io.softcall.inference.onnx.CudaTest --details tree --disable-banner) || echo "run: CudaTest failed"
    with_gaps "
import runpy
sys.argv[0] = 'softcall_bench.cuda'
runpy.run_module('softcall_bench.cuda', run_name='__main__', alter_sys=True)" "$@" ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
