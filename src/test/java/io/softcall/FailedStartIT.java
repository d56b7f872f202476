package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The packaged server says why it cannot start and ends in good order, though the base is being opened at that moment. */
class FailedStartIT {

    @ParameterizedTest
    @CsvSource({"SOFTCALL_STORE_URI, nowhere:, softcall.store.uri=nowhere:", "SOFTCALL_THREADS, many, softcall.threads"
    })
    void aSettingThatIsNoneIsNamed(String variable, String value, String named) throws Exception {
        ProcessBuilder builder = new ProcessBuilder("target/quarkus-app/softcall-server");
        builder.environment().putAll(Tiny.environment(Tiny.SETTINGS));
        builder.environment()
                .putAll(Map.of(
                        "JAVA_HOME", System.getProperty("java.home"), "QUARKUS_HTTP_PORT", "0", variable, value));
        Process server = builder.redirectErrorStream(true).start();
        String log = new String(server.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(1, server.waitFor(), log);
        assertTrue(log.contains(named), log);
    }
}
