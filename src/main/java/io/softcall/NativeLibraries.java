package io.softcall;

import io.quarkus.runtime.ImageMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Finds the native libraries of a native executable, which contains none. They lie in {@code native/Linux-x86_64} (system and
 * processor as {@code uname} names them) beside the executable, or in {@code quarkus-app} beside it, where Maven builds both. For
 * the JVM, {@code softcall-server} does the same.
 */
final class NativeLibraries {

    /** The properties by which the libraries' own Java code is told the folder or the file. */
    private static final Map<String, String> FILES = Map.of(
            "onnxruntime.native.path", "",
            "RUST_LIBRARY_PATH", "libtokenizers.so",
            "ZstdNativePath", "libzstd-jni.so");

    private NativeLibraries() {}

    /** Sets the properties that are not set. Does nothing in a JVM. */
    static void find() {
        if (ImageMode.current().isNativeImage()) {
            ProcessHandle.current()
                    .info()
                    .command()
                    .map(Path::of)
                    .ifPresent(executable -> find(executable.getParent()));
        }
    }

    static void find(Path home) {
        String machine = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        String folder = "native/" + System.getProperty("os.name") + "-" + machine;
        for (Path libraries :
                List.of(home.resolve(folder), home.resolve("quarkus-app").resolve(folder))) {
            if (Files.isDirectory(libraries)) {
                FILES.forEach((property, file) -> {
                    if (System.getProperty(property) == null) {
                        System.setProperty(property, libraries.resolve(file).toString());
                    }
                });
                return;
            }
        }
    }
}
