package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.smallrye.config.ConfigMappings.ConfigClass;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.softcall.api.HttpConfig;
import io.softcall.api.kafka.KafkaConfig;
import io.softcall.inference.generation.GenerationConfig;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.jobs.run.JobsConfig;
import io.softcall.store.StoreConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** An unknown setting, or one out of its range, is reported by name, with what would be accepted. */
class SettingsTest {

    private static final List<Class<?>> CONFIGURATIONS = List.of(
            StoreConfig.class,
            InferenceConfig.class,
            HttpConfig.class,
            JobsConfig.class,
            KafkaConfig.class,
            GenerationConfig.class);

    private static List<String> problems(Map<String, String> properties, Map<String, String> environment) {
        var config = new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(properties, "test", 100))
                .build();
        return Settings.problems(config, environment);
    }

    private static List<String> problems(String name, String value) {
        return problems(Map.of(name, value), Map.of());
    }

    /** Every setting must have a range. */
    @Test
    void knowsEverySetting() {
        Set<String> code = new TreeSet<>(Set.of("softcall.lambda.results-queue"));
        for (Class<?> config : CONFIGURATIONS) {
            ConfigClass.configClass(config).getProperties().keySet().stream()
                    .filter(name -> !name.contains("["))
                    .forEach(name -> code.add(name.replace("*", "NAME")));
        }
        assertEquals(code, Settings.names());
    }

    @Test
    void acceptsEveryDefault() {
        for (Class<?> config : CONFIGURATIONS) {
            ConfigClass.configClass(config).getProperties().forEach((name, value) -> {
                if (value != null && !name.contains("*")) {
                    assertEquals(List.of(), problems(name, value));
                }
            });
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            softcall.store.max-age              | 0s, 365d     | -1s, 366d
            softcall.store.stale-if-error       | 0s, 365d     | -1s, 366d
            softcall.store.timeout              | 10ms, 1h     | 0s, 9ms, 61m
            softcall.store.transfer-time        | 10ms, 1h     | 0s, 9ms, 61m
            softcall.store.max-artifact-bytes   | 1K, 1G       | 0, 1023, 3G
            softcall.store.cache-bytes          | 1M, 1T       | 0, 2T
            softcall.store.mirror.interval      | 1s, 365d     | 0s, 366d
            softcall.store.mirror.max-bytes     | 1M, 1T       | 0, 2T
            softcall.cuda.device                | 0, 63        | -1, 64
            softcall.cuda.memory-limit          | 64M, 1T      | 0, 2T
            softcall.threads                    | 0, 512       | -1, 100000
            softcall.spin-micros                | 0, 1000000   | -1, 1000001
            softcall.prefix.cache-bytes         | 1M, 1T       | 0, 2T
            softcall.prefix.encoder-idle        | 0s, 1d       | -1s, 25h
            softcall.batch.tokens               | 1, 10000000  | 0, -1, 10000001
            softcall.batch.padding-tokens       | 0, 10000000  | -1, 10000001
            softcall.batch.prefix-tokens        | 1, 100000000 | 0, -1, 100000001
            softcall.batch.queue-rows           | 1, 10000000  | 0, 10000001
            softcall.batch.runs                 | 1, 64        | 0, -1, 65
            softcall.limits.calls               | 1, 100000    | 0, -1, 100001
            softcall.limits.texts               | 1, 10000     | 0, -1, 10001
            softcall.limits.characters          | 1, 1000000   | 0, -1, 1000001
            softcall.limits.tokens              | 1, 1000000   | 0, -1, 1000001
            softcall.limits.prompt-tokens       | 1, 10000     | 0, -1, 10001
            softcall.limits.call-time           | 10ms, 1d     | 0s, 25h
            softcall.generation.streams         | 1, 100000    | 0, 100001
            softcall.generation.max-tokens      | 1, 1000000   | 0, 1000001
            softcall.generation.time            | 10ms, 1d     | 0s, 25h
            softcall.generation.kv-bytes        | 1M, 1T       | 0, 2T
            softcall.generation.max-pause       | 1ms, 1m      | 0s, 61s
            softcall.generation.slow-reader     | 10ms, 1h     | 0s, 61m
            softcall.http.max-body-bytes        | 1K, 1G       | 0, 2G
            softcall.http.max-held-bytes        | 1M, 1T       | 0, 2T
            softcall.http.body-time             | 10ms, 1h     | 0s, 61m
            softcall.http.header-time           | 10ms, 1h     | 0s, 61m
            softcall.http.max-connections       | 1, 1000000   | 0, -1
            softcall.jobs.truncate-prompt-tokens | -1, 0, 1000000 | -2, 1000001
            softcall.jobs.part-bytes            | 1, 1G        | 0, 2G
            softcall.jobs.part-rows             | 1, 1000000   | 0, -1, 1000001
            softcall.jobs.row-bytes             | 1, 64M       | 0, 65M
            softcall.jobs.max-bytes             | 1, 1P        | 0, 2P
            softcall.jobs.max-rows              | 1, 100000000000 | 0, -1, 100000000001
            softcall.jobs.rows-in-flight        | 1, 100000    | 0, 100001
            softcall.jobs.concurrent            | 1, 64        | 0, 65
            softcall.jobs.waiting               | 1, 1000000   | 0, 1000001
            softcall.jobs.store-patience        | 0s, 1d       | -1s, 25h
            softcall.kafka.requests             | a, a-B_1.c   | a b, ä, a/b
            softcall.kafka.answers              | a            | a b
            softcall.kafka.dead-letters         | a            | a b
            softcall.kafka.files                | a            | a b
            softcall.kafka.jobs                 | a            | a b
            softcall.kafka.records-in-flight    | 3, 1000000   | 2, 0, -1
            softcall.http.keys.a.sha256         | 0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF | 0123, secret
            """)
    void everyRange(String name, String accepted, String refused) {
        for (String value : accepted.split(", ")) {
            assertEquals(List.of(), problems(name, value));
        }
        for (String value : refused.split(", ")) {
            List<String> problems = problems(name, value);
            assertEquals(1, problems.size(), name + "=" + value);
            assertTrue(problems.getFirst().startsWith(name + " is " + value + ", expected "), problems::getFirst);
        }
    }

    /** The ranges above cover all settings. */
    @Test
    void noRangeIsLeftOut() throws IOException {
        String tests = Files.readString(Path.of("src/test/java/io/softcall/SettingsTest.java"));
        for (String name : Settings.names()) {
            boolean bounded = !problems(name.replace("NAME", "a"), "-7").isEmpty();
            assertTrue(!bounded || tests.contains(name.replace("NAME", "a") + " "), name);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "softcall.http.key.a.sha256, softcall.http.keys.NAME.sha256",
        "softcall.store.url, softcall.store.uri",
        "softcall.thread, softcall.threads",
        "softcall.http.keys.a.task, softcall.http.keys.NAME.tasks",
    })
    void namesTheNearestOfAnUnknownProperty(String name, String nearest) {
        assertEquals(List.of(name + " is not a setting, the nearest is " + nearest), problems(name, "1"));
    }

    @ParameterizedTest
    @CsvSource({
        "SOFTCALL_HTTP_KEY_A_SHA256, SOFTCALL_HTTP_KEYS_NAME_SHA256",
        "SOFTCALL_STORE_URL, SOFTCALL_STORE_URI",
        "SOFTCALL_LIMIT_TEXTS, SOFTCALL_LIMITS_TEXTS",
    })
    void namesTheNearestOfAnUnknownVariable(String name, String nearest) {
        assertEquals(
                List.of(name + " is not a setting, the nearest is " + nearest), problems(Map.of(), Map.of(name, "1")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "SOFTCALL_SERVICE_HOST",
                "SOFTCALL_SERVICE_PORT",
                "SOFTCALL_SERVICE_PORT_HTTP",
                "SOFTCALL_PORT",
                "SOFTCALL_PORT_8080_TCP",
                "SOFTCALL_PORT_8080_TCP_ADDR",
                "SOFTCALL_CANARY_SERVICE_HOST",
                "SOFTCALL_HTTP_KEYS_MY_KEY_SHA256",
                "SOFTCALL_JOBS_RULES_A_B_TASK",
                "SOFTCALL_STORE_SIGNED_BY_0_",
                "SOFTCALL_STORE_MIRROR_MAX_BYTES",
                "SOFTCALL_API_KEY",
                "PATH"
            })
    void takesVariablesOfOthers(String name) {
        assertEquals(List.of(), problems(Map.of(), Map.of(name, "x")));
    }

    /** The variables that the command line and scripts read are known. Otherwise a server beside them would not start. */
    @Test
    void knowsTheNamesOfTheCommandLine() throws IOException {
        Set<String> read = new TreeSet<>();
        for (String folder : List.of("training-exporter/src", "tools", "bench", "deploy", "src/main/scripts")) {
            try (Stream<Path> files = Files.walk(Path.of(folder))) {
                for (Path file : files.filter(SettingsTest::isSource).toList()) {
                    Pattern.compile("\\bSOFTCALL_[A-Z0-9_]*[A-Z0-9]\\b")
                            .matcher(Files.readString(file))
                            .results()
                            .map(MatchResult::group)
                            .forEach(read::add);
                }
            }
        }
        assertFalse(read.isEmpty());
        for (String name : read) {
            assertEquals(List.of(), problems(Map.of(), Map.of(name, "x")));
        }
    }

    private static boolean isSource(Path file) {
        return file.toString().matches(".*\\.(py|sh|yaml|yml|env|md)|.*/softcall-[a-z]+|.*/Containerfile.*")
                && !file.toString().contains("/.venv/");
    }

    @Test
    void saysAllThatIsWrong() {
        assertEquals(
                List.of(
                        "softcall.batch.runs is 0, expected 1 to 64",
                        "softcall.limits.calls is -1, expected 1 to 100000"),
                problems(Map.of("softcall.limits.calls", "-1", "softcall.batch.runs", "0"), Map.of()));
    }

    @Test
    void leavesToItsReaderWhatCannotBeRead() {
        assertEquals(List.of(), problems("softcall.threads", "many"));
        assertEquals(List.of(), problems("softcall.store.timeout", "soon"));
        assertEquals(List.of(), problems("softcall.threads", " "));
    }
}
