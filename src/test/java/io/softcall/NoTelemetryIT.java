package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * ONNX Runtime's telemetry stays off: it would collect events in the user's cache folder, and crash on a command line of more
 * than some 4,000 bytes.
 */
class NoTelemetryIT {

    private static final int LIMIT_S = 60;

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
        Process process = builder.redirectError(home.resolve("log").toFile()).start();
        try (var in = process.outputWriter(StandardCharsets.UTF_8)) {
            in.write("A joy.\n");
        }
        List<String> answers;
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            answers = out.lines().toList();
        }
        process.waitFor(LIMIT_S, TimeUnit.SECONDS);
        assertEquals(0, process.exitValue(), () -> read(home.resolve("log")));
        assertEquals(1, answers.size());
        try (Stream<Path> files = Files.walk(home)) {
            assertEquals(
                    List.of(),
                    files.filter(file -> file.toString().contains("Microsoft")).toList());
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
