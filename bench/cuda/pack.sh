#!/bin/bash
# Packs all that bench/cuda/run.sh needs on a machine that has a GPU, Python with PyTorch (CUDA 13) and transformers, and no
# network: bash bench/cuda/pack.sh [MAX_BYTES]
# From the root of the repository, after `./mvnw package -Pcuda` (which makes target/quarkus-app and compiles the tests).
# Writes build/cuda/part1 ... of at most MAX_BYTES each (45 MB), each file cut where a part is full:
#   provider.xz    36 MB  ONNX Runtime's CUDA provider, the CUDA 13 build of PyPI, with the code of sm_90 (H100, H200) alone
#   native.tar.xz  10 MB  libonnxruntime of that build, JNI of Maven's GPU build (the CPU build's refuses CUDA), tokenizers
#   jre.tar.xz     29 MB  a Java runtime with javac
#   app.tar.xz     46 MB  the server without native libraries, its tests and JUnit's launcher
#   python.tar.xz   5 MB  the few Python packages that PyTorch's environment may lack, wrk
#   SmolLM2-*.gguf 98 MB  the weights of the default base
# GPU_ARCHITECTURE=80 ... keeps the code of another architecture.
set -euo pipefail
max=${1:-45000000}
ort=1.29.0
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/cuda/work
app=$root/target/quarkus-app
. "$root/bench/travel.sh"
weights=$(base_weights)

[ -f "$app/native/Linux-x86_64/libonnxruntime_providers_cuda.so" ] || { echo "pack: run ./mvnw package -Pcuda first" >&2; exit 1; }
mkdir -p "$work" && cd "$work"

if [ ! -f provider.xz ]; then
    step "ONNX Runtime $ort for CUDA 13"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --dest . "onnxruntime-gpu==$ort"
    python3 -m zipfile -e "onnxruntime_gpu-$ort"-*.whl wheel
    python3 "$root/bench/cuda/keep_architecture.py" wheel/onnxruntime/capi/libonnxruntime_providers_cuda.so provider \
        "${GPU_ARCHITECTURE:-90}"
    small < provider > provider.xz
    rm provider
fi

step "native libraries"
rm -rf native && mkdir native
cp "wheel/onnxruntime/capi/libonnxruntime.so.$ort" native/libonnxruntime.so
cp wheel/onnxruntime/capi/libonnxruntime_providers_shared.so native/
cp "$app"/native/Linux-x86_64/{libonnxruntime4j_jni,libtokenizers}.so native/
tar c native | small > native.tar.xz

pack_java jre.tar.xz

step "the server and its tests"
rm -rf tree && pack_server tree
cp -a "$root"/target/{classes,test-classes} tree/target/
# JUnit starts without Maven. (The other pom: ours says what else to copy.)
"$root/mvnw" -B -ntp -q -f "$root/tools/s3/pom.xml" dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:6.0.3 \
    -DoutputDirectory="$work/tree/target/junit"
tar c -C tree target | small > app.tar.xz

step "Python packages and wrk"
rm -rf python wheels
pack_wheels python/site gguf==0.19.0 ml-dtypes==0.5.4 peft==0.21.2 rich==15.0.0 markdown-it-py==4.3.0 mdurl==0.1.2 pygments==2.21.0
(cd python && apt-get download -qq wrk libluajit-5.1-2 libluajit-5.1-common && for deb in ./*.deb; do dpkg -x "$deb" wrk; done && rm ./*.deb)
tar c python | small > python.tar.xz

ls -l ./*.xz >&2
cut_into_parts "$max" "$root/build/cuda" provider.xz native.tar.xz jre.tar.xz app.tar.xz python.tar.xz "$weights"
