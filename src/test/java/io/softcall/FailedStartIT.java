package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The packaged server reports why it cannot start, and ends in good order, even while the base is being opened. */
class FailedStartIT {

    private static final int LIMIT_S = 30;

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            SOFTCALL_STORE_URI         | nowhere: | softcall.store.uri=nowhere:
            SOFTCALL_THREADS           | many     | softcall.threads
            SOFTCALL_THREADS           | 100000   | softcall.threads is 100000, expected 0 to 512
            SOFTCALL_LIMITS_CALLS      | 0        | softcall.limits.calls is 0, expected 1 to 100000
            SOFTCALL_HTTP_KEY_A_SHA256 | 00       | SOFTCALL_HTTP_KEY_A_SHA256 is not a setting, the nearest is SOFTCALL_HTTP_KEYS_NAME_SHA256
            """)
    void aSettingThatIsNoneIsNamed(String variable, String value, String named) throws Exception {
        ProcessBuilder builder = PackagedServer.process();
        builder.environment().put(variable, value);
        assertEndsNaming(named, builder);
    }

    /** {@code softcall-server} asks for them, because Java would not find its own classes. The executable contains them. */
    @Test
    @DisabledIfSystemProperty(named = "native.image.path", matches = ".*")
    void tooFewOpenFilesAreNamed() throws Exception {
        ProcessBuilder builder = PackagedServer.process();
        builder.command(
                "bash",
                "-c",
                "ulimit -n 64; exec \"$0\" \"$@\"",
                builder.command().getFirst());
        assertEndsNaming("this process may have 64 files open (`ulimit -n`), expected 512 or more", builder);
    }

    private static void assertEndsNaming(String named, ProcessBuilder builder) throws Exception {
        Path log = Path.of("target/failed-start.log");
        Process server =
                builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
        boolean ended = server.waitFor(LIMIT_S, TimeUnit.SECONDS);
        server.destroyForcibly();
        assertTrue(ended, () -> "it goes on: " + read(log));
        assertEquals(1, server.exitValue(), () -> read(log));
        assertTrue(read(log).contains(named), () -> read(log));
    }

    private static String read(Path log) {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
