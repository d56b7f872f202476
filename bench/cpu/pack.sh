#!/bin/bash
# Packs all that bench/cpu/run.sh needs on a machine that has more cores than this one, Python 3.12 with PyTorch, transformers,
# scikit-build-core, a C++ compiler and CMake, and no network: bash bench/cpu/pack.sh [MAX_BYTES]
# From the root of the repository, after `make server bench-environment` and one `make bench-quick` (which installs wrk and the others).
# Writes build/cpu/part1 ... of at most MAX_BYTES each (45 MB):
#   python.tar.xz    the bench's packages but the large ones, which come with PyTorch
#   llama.tar.xz     llama-cpp-python's source: it is compiled there, for the processor there
#   programs.tar.xz  wrk, vegeta, versitygw, toxiproxy
#   native.tar.xz    libonnxruntime, its JNI, tokenizers
#   jre.tar.xz       a Java runtime with javac
#   app.tar.xz       the server without native libraries
#   SmolLM2-*.gguf   the weights of the default base
set -euo pipefail
max=${1:-45000000}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/cpu/work
. "$root/bench/travel.sh"
weights=$(base_weights)
mkdir -p "$work" && cd "$work"

# The packages of the bench in the versions of uv.lock; PyTorch's environment has those that are large.
"$root/tools/uv" export --quiet --frozen --no-hashes --no-emit-local --project "$root/bench" --extra llama --python 3.12 > requirements.txt
large='torch|triton|nvidia-.*|cuda-.*|transformers|tokenizers|accelerate|onnx|numpy|scipy|scikit-learn|sympy|networkx|matplotlib|contourpy|fonttools|pillow|pip|setuptools'

step "Python packages"
rm -rf python wheels
grep -vE "^(#|[[:space:]]|($large|llama-cpp-python)==)" requirements.txt > carried.txt
pack_wheels python -r carried.txt
tar c python | small > python.tar.xz

if [ ! -f llama.tar.xz ]; then
    step "llama.cpp's source"
    rm -rf llama && mkdir llama
    python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest llama "$(grep -oE '^llama-cpp-python==[^ ]+' requirements.txt)"
    tar x -C llama -f llama/llama_cpp_python-*.tar.gz && rm llama/*.tar.gz && mv llama/llama_cpp_python-* llama/source
    rm -rf llama/source/.git llama/source/vendor/llama.cpp/{models,docs,benches,media,tests,tools/ui}
    tar c llama | small > llama.tar.xz.new && mv llama.tar.xz.new llama.tar.xz
fi

step "programs"
cache=${SOFTCALL_CACHE:-$HOME/.cache/softcall}
[ -d "$cache/bench/wrk" ] || { echo "pack: no $cache/bench/wrk; make bench-quick installs it" >&2; exit 1; }
tar c -C "$cache" --exclude '*lambda*' bench/wrk go | small > programs.tar.xz

step "native libraries"
tar c -C "$root/target/quarkus-app" native/Linux-x86_64 | small > native.tar.xz

pack_java jre.tar.xz

step "the server"
rm -rf tree && pack_server tree
git -C "$root" rev-parse HEAD > tree/target/commit
tar c -C tree target | small > app.tar.xz

ls -l ./*.xz >&2
cut_into_parts "$max" "$root/build/cpu" python.tar.xz llama.tar.xz programs.tar.xz native.tar.xz jre.tar.xz app.tar.xz "$weights"
