package io.softcall;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** A tiny random base with a few tasks, and PEFT's results for them. training-exporter/tests/make_tiny.py generates them. */
public final class Tiny {

    private static final Path ROOT = Path.of("src/test/resources/tiny").toAbsolutePath();

    public static final Path BASE = ROOT.resolve("base");
    /** The folder for packed weights, so that nothing is written into the sources. */
    public static final Path PACKED = Path.of("target/packed").toAbsolutePath();

    /** Memory for a few prefixes. */
    public static final long CACHE_BYTES = 1 << 20;

    public static final Path STORE = ROOT.resolve("tasks");
    public static final List<String> TASKS =
            List.of("sentiment", "acme/intent", "long", "pair", "kv", "acme/kv-long", "topics");

    /** Returns a server's settings for this base and these tasks. */
    public static final Map<String, String> SETTINGS = Map.of(
            "softcall.base.dir",
            BASE.toString(),
            "softcall.base.variant",
            "fp32",
            "softcall.base.cache-dir",
            PACKED.toString(),
            "softcall.store.uri",
            "file:" + STORE);

    private Tiny() {}

    /** Converts settings to environment variables: {@code aws.accessKeyId} becomes AWS_ACCESS_KEY_ID. */
    public static Map<String, String> environment(Map<String, String> settings) {
        Map<String, String> environment = new TreeMap<>();
        settings.forEach((name, value) -> environment.put(
                name.replaceAll("([a-z])([A-Z])", "$1_$2")
                        .replaceAll("[^A-Za-z]", "_")
                        .toUpperCase(Locale.ROOT),
                value));
        return environment;
    }

    /** PEFT's results for one input. */
    public record Row(List<String> texts, long[] ids, float[] hidden, float[] logits, double[] probs) {

        /** Returns the input as a request has it. */
        public Object input() {
            return texts.size() == 1 ? texts.getFirst() : texts;
        }
    }

    /** The labels of the task {@code topics}, which may have several, in order. */
    public static final List<String> TOPICS = List.of("food", "film", "money", "文化");

    private static final double[] TOPICS_THRESHOLDS = {0.5, 0.25, 0.625, 0.9375};

    /** Returns the labels that PEFT's probabilities give a text of that task, the most probable first. */
    public static List<String> topics(Row row) {
        return IntStream.range(0, TOPICS.size())
                .filter(i -> row.probs()[i] >= TOPICS_THRESHOLDS[i])
                .boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -row.probs()[i]))
                .map(TOPICS::get)
                .toList();
    }

    private record Golden(Row base, Map<String, List<Row>> tasks) {}

    public static byte[] artifact(String task) {
        return read(STORE.resolve(task).resolve("adapter_model.safetensors"));
    }

    /** Returns an artifact that must not be served. */
    public static byte[] broken(String name) {
        return read(ROOT.resolve("broken").resolve(name + ".safetensors"));
    }

    /** Returns the sentiment task, signed "earlier" or "later". */
    public static byte[] signed(String when) {
        return read(ROOT.resolve("signed").resolve(when + ".safetensors"));
    }

    /** Returns the public key of these signatures. */
    public static String publicKey() {
        return new String(read(ROOT.resolve("signed/key.txt")), StandardCharsets.UTF_8);
    }

    /** Returns the fingerprint of the base. */
    public static String fingerprint() {
        try {
            return new JsonMapper()
                    .readTree(BASE.resolve("base.json").toFile())
                    .get("fingerprint")
                    .textValue();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static List<Row> golden(String task) {
        try {
            return new JsonMapper()
                    .readValue(ROOT.resolve("golden.json").toFile(), new TypeReference<Golden>() {})
                    .tasks()
                    .get(task);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] read(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
