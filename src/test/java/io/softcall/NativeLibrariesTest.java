package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where a native executable finds its libraries. */
class NativeLibrariesTest {

    private static final List<String> PROPERTIES =
            List.of("onnxruntime.native.path", "RUST_LIBRARY_PATH", "ZstdNativePath");

    private List<String> before;

    @TempDir
    Path home;

    @BeforeEach
    void clear() {
        before = PROPERTIES.stream()
                .map(name -> String.valueOf(System.getProperty(name)))
                .toList();
        PROPERTIES.forEach(System::clearProperty);
    }

    @AfterEach
    void restore() {
        for (int i = 0; i < PROPERTIES.size(); i++) {
            if (before.get(i).equals("null")) {
                System.clearProperty(PROPERTIES.get(i));
            } else {
                System.setProperty(PROPERTIES.get(i), before.get(i));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "quarkus-app"})
    void besideTheExecutable(String folder) throws IOException {
        String machine = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        Path libraries =
                Files.createDirectories(home.resolve(folder, "native", System.getProperty("os.name") + "-" + machine));
        System.setProperty("ZstdNativePath", "/set/by/the/user.so");
        NativeLibraries.find(home);
        assertEquals(libraries.toString(), System.getProperty("onnxruntime.native.path"));
        assertEquals(libraries.resolve("libtokenizers.so").toString(), System.getProperty("RUST_LIBRARY_PATH"));
        assertEquals("/set/by/the/user.so", System.getProperty("ZstdNativePath"));
    }

    @Test
    void nothingIsSetWhereThereAreNone() {
        NativeLibraries.find(home);
        PROPERTIES.forEach(name -> assertNull(System.getProperty(name), name));
    }

    /** The JVM's server has them from {@code softcall-server}, or unpacks them. */
    @Test
    void nothingIsSetInAJvm() {
        NativeLibraries.find();
        PROPERTIES.forEach(name -> assertNull(System.getProperty(name), name));
    }
}
