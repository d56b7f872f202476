package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * ONNX Runtime's telemetry stays off: it would collect events in the user's cache folder, and crash on a command line of more
 * than some 4,000 bytes.
 */
class NoTelemetryIT {

    @TempDir
    Path home;

    @Test
    void nothingIsCollectedAndALongCommandLineIsNoCrash() throws Exception {
        List<String> arguments = new ArrayList<>(List.of("classify", "--task", "sentiment"));
        for (int i = 0; i < 500; i++) {
            arguments.addAll(List.of("--truncate", "64"));
        }
        ProcessBuilder builder = PackagedServer.process(arguments.toArray(String[]::new));
        builder.environment().put("HOME", home.toString());
        builder.environment().put("XDG_CACHE_HOME", home.resolve("cache").toString());
        builder.environment().remove("ORT_DISABLE_TELEMETRY");
        PackagedRun run = PackagedRun.of(builder, "A joy.\n");
        assertEquals(0, run.status(), run::log);
        assertEquals(1, run.output().size());
        try (Stream<Path> files = Files.walk(home)) {
            assertEquals(
                    List.of(),
                    files.filter(file -> file.toString().contains("Microsoft")).toList());
        }
    }
}
