package io.softcall;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** What a run of the packaged program left behind: its exit status, its output, and its log. */
public record PackagedRun(int status, List<String> output, String log) {

    private static final int LIMIT_S = 60;

    /** Starts a process with an input, and waits for its end. Fails if it goes on for longer than a minute. */
    public static PackagedRun of(ProcessBuilder builder, String input) throws IOException, InterruptedException {
        Path in = Files.writeString(Path.of("target/packaged-run-in.txt"), input);
        Path out = Path.of("target/packaged-run-out.txt");
        Path log = Path.of("target/packaged-run.log");
        Process process = builder.redirectInput(in.toFile())
                .redirectOutput(out.toFile())
                .redirectError(log.toFile())
                .start();
        boolean ended = process.waitFor(LIMIT_S, TimeUnit.SECONDS);
        process.destroyForcibly();
        String logged = Files.readString(log);
        assertTrue(ended, () -> "it goes on: " + logged);
        return new PackagedRun(process.exitValue(), Files.readAllLines(out), logged);
    }
}
