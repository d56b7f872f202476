# What takes a measurement to a machine without a network: bench/*/pack.sh cut what is needed there into parts of bounded size,
# bench/*/run.sh put them together. Both source this file.

# The weights of the default base, in the cache of either machine.
gguf=SmolLM2-135M-Instruct.Q4_1.gguf

# For pack.sh: `small` compresses programs, `step` says what is being done.
small() { xz --threads=2 --x86 --lzma2=preset=6,dict=64MiB --stdout; }
step() { echo "pack: $*" >&2; }

# pack_java FILE: a Java runtime with javac, of the JDK that builds the server.
pack_java() {
    [ ! -f "$1" ] || return 0
    step "a Java runtime"
    local modules=java.base,java.compiler,java.instrument,java.logging,java.management,java.naming,java.net.http,java.rmi,java.scripting
    modules+=,java.security.jgss,java.security.sasl,java.sql,java.transaction.xa,java.xml,jdk.compiler,jdk.crypto.ec
    modules+=,jdk.management,jdk.unsupported,jdk.zipfs,java.desktop
    rm -rf jre
    "$("$root/tools/java-home")/bin/jlink" --add-modules "$modules" --compress zip-0 --strip-debug --no-header-files --no-man-pages --output jre
    tar c jre | small > "$1.new" && mv "$1.new" "$1"
}

# pack_server FOLDER: the built server without native libraries, in FOLDER/target/quarkus-app.
pack_server() {
    local app=$1/target/quarkus-app
    mkdir -p "$1/target"
    cp -a "$root/target/quarkus-app" "$app"
    rm -rf "$app/native" "$app/server.aot"
    find "$app/lib" -name 'com.microsoft.onnxruntime*' -o -name 'ai.djl.huggingface*' \
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
}

# pack_wheels FOLDER REQUIREMENT...: wheels of Python 3.12 (or PYTHON_VERSION), unpacked into FOLDER.
pack_wheels() {
    local folder=$1 wheel
    shift
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "${PYTHON_VERSION:-3.12}" --implementation cp --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest wheels "$@"
    mkdir -p "$folder"
    for wheel in wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder"; done
}

# Where the weights lie here.
base_weights() {
    local file=${SOFTCALL_CACHE:-$HOME/.cache/softcall}/$gguf
    [ -f "$file" ] || { echo "pack: no $file; make base fetches it" >&2; return 1; }
    echo "$file"
}

# cut_into_parts MAX_BYTES FOLDER FILE...: everything in order into FOLDER/part1, part2 ..., each file cut where a part is full.
cut_into_parts() {
    local max=$1 folder=$2 part=1 file left from size
    shift 2
    rm -rf "$folder"/part*
    mkdir -p "$folder/part$part"
    for file; do
        from=0 size=$(stat -c %s "$file")
        while [ "$from" -lt "$size" ]; do
            left=$((max - $(du -sb "$folder/part$part" | cut -f1)))
            if [ "$left" -lt 1000000 ]; then part=$((part + 1)) && mkdir -p "$folder/part$part" && continue; fi
            dd if="$file" iflag=skip_bytes,count_bytes skip="$from" count="$left" status=none \
                of="$(printf '%s/part%d/%s.%012d' "$folder" "$part" "$(basename "$file")" "$from")"
            from=$((from + left))
        done
    done
    du -sb "$folder"/part*
}

# For run.sh: `receive PART` keeps one in $kept, `whole NAME` prints a file whose parts have all come.
receive() { mkdir -p "$kept/parts" && cp "$1"/* "$kept/parts/" && ls -l "$kept/parts"; }
whole() { cat "$kept/parts/$1".*; }
