#!/bin/bash
# Packs all that bench/cuda/run.sh needs on a machine that has a GPU, Python with PyTorch (CUDA 13) and transformers, and no
# network: bash bench/cuda/pack.sh [MAX_BYTES]
# From the root of the repository, after `./mvnw package -Pcuda` (which makes target/quarkus-app and compiles the tests).
# Writes build/cuda/part1 to part5 of at most MAX_BYTES each (50 MB; the last has 26), each file cut where a part is full:
#   provider.xz    36 MB  ONNX Runtime's CUDA provider, the CUDA 13 build of PyPI, with the code of sm_90 (H100, H200) alone
#   native.tar.xz  10 MB  libonnxruntime of that build, JNI of Maven's GPU build (the CPU build's refuses CUDA), tokenizers
#   jre.tar.xz     29 MB  a Java runtime with javac
#   app.tar.xz     46 MB  the server without native libraries, its tests and JUnit's launcher
#   python.tar.xz   5 MB  the few Python packages that PyTorch's environment may lack, wrk
#   base.gguf.*    98 MB  the weights of the default base, cut
# GPU_ARCHITECTURE=80 ... keeps the code of another architecture.
set -euo pipefail
max=${1:-50000000}
ort=1.29.0
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/cuda/work
app=$root/target/quarkus-app
java_home=$("$root/tools/java-home")
small() { xz --threads=2 --x86 --lzma2=preset=6,dict=64MiB --stdout; }
step() { echo "pack: $*" >&2; }

[ -f "$app/native/Linux-x86_64/libonnxruntime_providers_cuda.so" ] || { echo "pack: run ./mvnw package -Pcuda first" >&2; exit 1; }
rm -rf "$root"/build/cuda/part*
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

if [ ! -f jre.tar.xz ]; then
    step "a Java runtime"
    rm -rf jre
    modules=java.base,java.compiler,java.instrument,java.logging,java.management,java.naming,java.net.http,java.rmi,java.scripting
    modules+=,java.security.jgss,java.security.sasl,java.sql,java.transaction.xa,java.xml,jdk.compiler,jdk.crypto.ec
    modules+=,jdk.management,jdk.unsupported,jdk.zipfs,java.desktop
    "$java_home/bin/jlink" --add-modules "$modules" --compress zip-0 --strip-debug --no-header-files --no-man-pages --output jre
    tar c jre | small > jre.tar.xz
fi

step "the server and its tests"
rm -rf tree && mkdir -p tree/target
cp -a "$app" tree/target/quarkus-app
rm -rf tree/target/quarkus-app/native tree/target/quarkus-app/server.aot
find tree/target/quarkus-app/lib -name 'com.microsoft.onnxruntime*' -o -name 'ai.djl.huggingface*' \
    -o -name 'com.github.luben.zstd*' -o -name 'org.xerial.snappy*' | while read -r jar; do
    python3 - "$jar" <<'P'
import sys, zipfile
path = sys.argv[1]
with zipfile.ZipFile(path) as jar:
    kept = [(i, jar.read(i)) for i in jar.infolist() if not i.filename.endswith((".so", ".dll", ".dylib", ".jnilib", ".a"))]
with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as jar:
    for info, data in kept:
        jar.writestr(info.filename, data)
P
done
cp -a "$root"/target/{classes,test-classes} tree/target/
# JUnit starts without Maven. (The other pom: ours says what else to copy.)
"$root/mvnw" -B -ntp -q -f "$root/tools/s3/pom.xml" dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:6.0.3 \
    -DoutputDirectory="$work/tree/target/junit"
tar c -C tree target | small > app.tar.xz

step "Python packages and wrk"
rm -rf python && mkdir -p python/site
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest wheels \
    gguf==0.19.0 ml-dtypes==0.5.4 peft==0.21.2 rich==15.0.0 markdown-it-py==4.3.0 mdurl==0.1.2 pygments==2.21.0
for wheel in wheels/*.whl; do python3 -m zipfile -e "$wheel" python/site; done
(cd python && apt-get download -qq wrk libluajit-5.1-2 libluajit-5.1-common && for deb in ./*.deb; do dpkg -x "$deb" wrk; done && rm ./*.deb)
tar c python | small > python.tar.xz

step "the base"
gguf=${SOFTCALL_CACHE:-$HOME/.cache/softcall}/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$gguf" ] || { echo "pack: no $gguf; make base fetches it" >&2; exit 1; }

part=1 && mkdir -p "$root/build/cuda/part$part"
put() { # FILE NAME: everything in order, cut where a part is full
    local left from=0 size
    size=$(stat -c %s "$1")
    while [ "$from" -lt "$size" ]; do
        left=$((max - $(du -sb "$root/build/cuda/part$part" | cut -f1)))
        if [ "$left" -lt 1000000 ]; then part=$((part + 1)) && mkdir -p "$root/build/cuda/part$part" && continue; fi
        dd if="$1" iflag=skip_bytes,count_bytes skip="$from" count="$left" status=none \
            of="$(printf '%s/build/cuda/part%d/%s.%012d' "$root" "$part" "$2" "$from")"
        from=$((from + left))
    done
}
for file in provider.xz native.tar.xz jre.tar.xz app.tar.xz python.tar.xz; do put "$file" "$file"; done
put "$gguf" base.gguf
ls -l ./*.xz >&2
du -sb "$root"/build/cuda/part*
