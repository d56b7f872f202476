package io.softcall.function;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.smallrye.config.ConfigMappings.ConfigClass;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.InferenceConfig;
import io.softcall.jobs.JobsConfig;
import io.softcall.store.StoreConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** README's tables are what the code does: every configuration name with its default, every error with its status. */
class ReadmeTest {

    private static final String README = readme();

    @Test
    void everyConfigurationNameAndDefault() {
        Map<String, String> code = new TreeMap<>();
        for (Class<?> config : List.of(
                StoreConfig.class, InferenceConfig.class, HttpConfig.class, JobsConfig.class, KafkaConfig.class)) {
            ConfigClass.configClass(config).getProperties().forEach((name, value) -> {
                // A list appears a second time, by element.
                if (!name.contains("[")) code.put(name.replace("*", "NAME"), value == null ? "" : value);
            });
        }
        assertEquals(
                code.toString(),
                rows("\\| `(softcall\\.[^`]+)` \\| (?:`([^`]*)`)? ?\\|.*").toString());
    }

    @Test
    void everyErrorAndStatus() {
        Map<String, String> code = new TreeMap<>();
        for (Reason reason : Reason.values()) {
            code.put(reason.name().toLowerCase(Locale.ROOT), Integer.toString(Errors.status(reason)));
        }
        assertEquals(code.toString(), rows("\\| `([a-z_]+)` \\| (\\d{3}) \\|.*").toString());
    }

    private static Map<String, String> rows(String pattern) {
        Map<String, String> rows = new TreeMap<>();
        Pattern.compile("(?m)^" + pattern + "$")
                .matcher(README)
                .results()
                .forEach((MatchResult row) -> rows.put(row.group(1), row.group(2) == null ? "" : row.group(2)));
        return rows;
    }

    private static String readme() {
        try {
            return Files.readString(Path.of("README.md"));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
