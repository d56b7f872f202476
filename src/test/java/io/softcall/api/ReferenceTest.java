package io.softcall.api;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.smallrye.config.ConfigMappings.ConfigClass;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.kafka.KafkaConfig;
import io.softcall.inference.generation.GenerationConfig;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.jobs.run.JobsConfig;
import io.softcall.store.StoreConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The reference pages match the code: every setting with its default, every error with its status. */
class ReferenceTest {

    @Test
    void everyConfigurationNameAndDefault() {
        Map<String, String> code = new TreeMap<>();
        for (Class<?> config : List.of(
                StoreConfig.class,
                InferenceConfig.class,
                HttpConfig.class,
                JobsConfig.class,
                KafkaConfig.class,
                GenerationConfig.class)) {
            ConfigClass.configClass(config).getProperties().forEach((name, value) -> {
                // A list appears a second time, with its elements.
                if (!name.contains("[")) code.put(name.replace("*", "NAME"), value == null ? "" : value);
            });
        }
        assertEquals(
                code.toString(),
                rows("configuration.md", "\\| `(softcall\\.[^`]+)` \\| (?:`([^`]*)`)? ?\\|.*")
                        .toString());
    }

    @Test
    void everyErrorAndStatus() {
        Map<String, String> code = new TreeMap<>();
        for (Reason reason : Reason.values()) {
            code.put(reason.name().toLowerCase(Locale.ROOT), Integer.toString(Errors.status(reason)));
        }
        assertEquals(
                code.toString(),
                rows("errors.md", "\\| `([a-z_]+)` \\| (\\d{3}) \\|.*").toString());
    }

    private static Map<String, String> rows(String page, String pattern) {
        Map<String, String> rows = new TreeMap<>();
        Pattern.compile("(?m)^" + pattern + "$")
                .matcher(read(page))
                .results()
                .forEach((MatchResult row) -> rows.put(row.group(1), row.group(2) == null ? "" : row.group(2)));
        return rows;
    }

    private static String read(String page) {
        try {
            return Files.readString(Path.of("docs", page));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
