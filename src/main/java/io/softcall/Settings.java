package io.softcall;

import io.quarkus.runtime.configuration.DurationConverter;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.runtime.configuration.MemorySizeConverter;
import jakarta.inject.Singleton;
import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.Config;
import org.eclipse.microprofile.config.ConfigProvider;
import org.eclipse.microprofile.config.spi.ConfigSource;

/**
 * All settings with their accepted values. A server with an unknown setting or a refused value does not start.
 * Otherwise it could refuse every call, hang, or run without a setting whose name the operator misspelt.
 */
@Singleton
public final class Settings {

    private static final String PREFIX = "softcall.";
    private static final String VARIABLE_PREFIX = "SOFTCALL_";
    /** Placeholder in a setting's name for a part that the operator chooses. */
    private static final String NAME = "NAME";

    private static final Pattern TOPIC = Pattern.compile("[a-zA-Z0-9._-]{1,249}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-fA-F]{64}");

    /**
     * Variables that Kubernetes sets when a service's name is softcall or begins with it.
     *
     * @see <a href="https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables">its documentation</a>
     */
    private static final Pattern SERVICE_LINK = Pattern.compile(".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)");

    /** Variables of the command line and of scripts, which may be set in a server's environment. */
    static final Set<String> OTHERS = Set.of(
            "SOFTCALL_ADAPTERS",
            "SOFTCALL_API_KEY",
            "SOFTCALL_BENCH_COMMIT",
            "SOFTCALL_BENCH_GAPS",
            "SOFTCALL_CACHE",
            "SOFTCALL_CPU_KEPT",
            "SOFTCALL_CUDA_KEPT",
            "SOFTCALL_STORE");

    /** The accepted values of a setting. */
    private sealed interface Kind {

        /** @return a description of the accepted values when this value is refused; empty when it is accepted */
        Optional<String> refusal(String value);
    }

    /** Accepts every value here: the code that reads the setting checks it, and names it in its error. */
    private record Anything() implements Kind {
        @Override
        public Optional<String> refusal(String value) {
            return Optional.empty();
        }
    }

    private record Text(Pattern pattern, String accepted) implements Kind {
        @Override
        public Optional<String> refusal(String value) {
            return pattern.matcher(value).matches() ? Optional.empty() : Optional.of(accepted);
        }
    }

    private record Whole(long least, long most) implements Kind {
        @Override
        public Optional<String> refusal(String value) {
            return range(new BigInteger(value.strip()), least, most).map(out -> "%d to %d".formatted(least, most));
        }
    }

    private record Bytes(String least, String most) implements Kind {
        @Override
        public Optional<String> refusal(String value) {
            return range(
                            bytes(value),
                            bytes(least).longValueExact(),
                            bytes(most).longValueExact())
                    .map(out -> "%s to %s".formatted(least, most));
        }

        private static BigInteger bytes(String value) {
            MemorySize size = new MemorySizeConverter().convert(value);
            return size.asBigInteger();
        }
    }

    private record Time(String least, String most) implements Kind {
        @Override
        public Optional<String> refusal(String value) {
            Duration time = DurationConverter.parseDuration(value);
            boolean fits = time.compareTo(DurationConverter.parseDuration(least)) >= 0
                    && time.compareTo(DurationConverter.parseDuration(most)) <= 0;
            return fits ? Optional.empty() : Optional.of("%s to %s".formatted(least, most));
        }
    }

    private static Optional<Boolean> range(BigInteger value, long least, long most) {
        boolean fits =
                value.compareTo(BigInteger.valueOf(least)) >= 0 && value.compareTo(BigInteger.valueOf(most)) <= 0;
        return fits ? Optional.empty() : Optional.of(true);
    }

    private static final Kind ANYTHING = new Anything();
    private static final Kind TOPIC_NAME = new Text(TOPIC, "1 to 249 of the characters a-z A-Z 0-9 . _ -");

    private static final Map<String, Kind> ALL = Map.ofEntries(
            Map.entry("softcall.store.uri", ANYTHING),
            Map.entry("softcall.store.max-age", new Time("0s", "365d")),
            Map.entry("softcall.store.stale-if-error", new Time("0s", "365d")),
            Map.entry("softcall.store.timeout", new Time("10ms", "1h")),
            Map.entry("softcall.store.transfer-time", new Time("10ms", "1h")),
            Map.entry("softcall.store.max-artifact-bytes", new Bytes("1K", "1G")),
            Map.entry("softcall.store.cache-bytes", new Bytes("1M", "1T")),
            Map.entry("softcall.store.signed-by", ANYTHING),
            Map.entry("softcall.store.mirror.interval", new Time("1s", "365d")),
            Map.entry("softcall.store.mirror.max-bytes", new Bytes("1M", "1T")),
            Map.entry("softcall.base.dir", ANYTHING),
            Map.entry("softcall.base.variant", ANYTHING),
            Map.entry("softcall.base.cache-dir", ANYTHING),
            Map.entry("softcall.base.accept", ANYTHING),
            Map.entry("softcall.base.serve-as", ANYTHING),
            Map.entry("softcall.provider", ANYTHING),
            Map.entry("softcall.cuda.device", new Whole(0, 63)),
            Map.entry("softcall.cuda.memory-limit", new Bytes("64M", "1T")),
            Map.entry("softcall.cuda.attention", ANYTHING),
            Map.entry("softcall.cuda.tf32", ANYTHING),
            Map.entry("softcall.threads", new Whole(0, 512)),
            Map.entry("softcall.spin-micros", new Whole(0, 1_000_000)),
            Map.entry("softcall.keep-memory", ANYTHING),
            Map.entry("softcall.prefix.cache-bytes", new Bytes("1M", "1T")),
            Map.entry("softcall.prefix.encoder-idle", new Time("0s", "1d")),
            Map.entry("softcall.batch.tokens", new Whole(1, 10_000_000)),
            Map.entry("softcall.batch.padding-tokens", new Whole(0, 10_000_000)),
            Map.entry("softcall.batch.prefix-tokens", new Whole(1, 100_000_000)),
            Map.entry("softcall.batch.queue-rows", new Whole(1, 10_000_000)),
            Map.entry("softcall.batch.runs", new Whole(1, 64)),
            Map.entry("softcall.generation.kv-bytes", new Bytes("1M", "1T")),
            Map.entry("softcall.generation.max-pause", new Time("1ms", "1m")),
            Map.entry("softcall.generation.max-tokens", new Whole(1, 1_000_000)),
            Map.entry("softcall.generation.slow-reader", new Time("10ms", "1h")),
            Map.entry("softcall.generation.streams", new Whole(1, 100_000)),
            Map.entry("softcall.generation.time", new Time("10ms", "1d")),
            Map.entry("softcall.limits.calls", new Whole(1, 100_000)),
            Map.entry("softcall.limits.texts", new Whole(1, 10_000)),
            Map.entry("softcall.limits.characters", new Whole(1, 1_000_000)),
            Map.entry("softcall.limits.tokens", new Whole(1, 1_000_000)),
            Map.entry("softcall.limits.prompt-tokens", new Whole(1, 10_000)),
            Map.entry("softcall.limits.call-time", new Time("10ms", "1d")),
            Map.entry("softcall.http.max-body-bytes", new Bytes("1K", "1G")),
            Map.entry("softcall.http.max-held-bytes", new Bytes("1M", "1T")),
            Map.entry("softcall.http.body-time", new Time("10ms", "1h")),
            Map.entry("softcall.http.header-time", new Time("10ms", "1h")),
            Map.entry("softcall.http.max-connections", new Whole(1, 1_000_000)),
            Map.entry(
                    "softcall.http.keys.NAME.sha256",
                    new Text(SHA256, "64 hexadecimal digits, as printed by `sha256sum`")),
            Map.entry("softcall.http.keys.NAME.tasks", ANYTHING),
            Map.entry("softcall.http.keys.NAME.admin", ANYTHING),
            Map.entry("softcall.jobs.output", ANYTHING),
            Map.entry("softcall.jobs.buckets", ANYTHING),
            Map.entry("softcall.jobs.keys", ANYTHING),
            Map.entry("softcall.jobs.rules.NAME.keys", ANYTHING),
            Map.entry("softcall.jobs.rules.NAME.task", ANYTHING),
            Map.entry("softcall.jobs.broker", ANYTHING),
            Map.entry("softcall.jobs.sns-topics", ANYTHING),
            Map.entry("softcall.jobs.scores", ANYTHING),
            Map.entry("softcall.jobs.truncate-prompt-tokens", new Whole(-1, 1_000_000)),
            Map.entry("softcall.jobs.part-bytes", new Bytes("1", "1G")),
            Map.entry("softcall.jobs.part-rows", new Whole(1, 1_000_000)),
            Map.entry("softcall.jobs.row-bytes", new Bytes("1", "64M")),
            Map.entry("softcall.jobs.max-bytes", new Bytes("1", "1P")),
            Map.entry("softcall.jobs.max-rows", new Whole(1, 100_000_000_000L)),
            Map.entry("softcall.jobs.rows-in-flight", new Whole(1, 100_000)),
            Map.entry("softcall.jobs.concurrent", new Whole(1, 64)),
            Map.entry("softcall.jobs.waiting", new Whole(1, 1_000_000)),
            Map.entry("softcall.jobs.store-patience", new Time("0s", "1d")),
            Map.entry("softcall.kafka.requests", TOPIC_NAME),
            Map.entry("softcall.kafka.answers", TOPIC_NAME),
            Map.entry("softcall.kafka.dead-letters", TOPIC_NAME),
            Map.entry("softcall.kafka.files", TOPIC_NAME),
            Map.entry("softcall.kafka.jobs", TOPIC_NAME),
            Map.entry("softcall.kafka.group", ANYTHING),
            Map.entry("softcall.kafka.records-in-flight", new Whole(3, 1_000_000)),
            Map.entry("softcall.lambda.results-queue", ANYTHING));

    /** Returns the names of all settings; {@code NAME} is a part that the operator chooses. */
    static Set<String> names() {
        return new TreeSet<>(ALL.keySet());
    }

    /**
     * Checks everything that is set. Classes that open a resource by a setting inject this first.
     *
     * @throws IllegalArgumentException when a setting is unknown or its value is refused; the message names all of them
     */
    Settings() {
        List<String> problems = problems(ConfigProvider.getConfig(), System.getenv());
        if (!problems.isEmpty()) {
            throw new IllegalArgumentException(String.join("; ", problems));
        }
    }

    /** Returns the problems of these settings, in the order of their names. */
    static List<String> problems(Config config, Map<String, String> environment) {
        List<String> problems = new ArrayList<>();
        for (String variable : new TreeSet<>(environment.keySet())) {
            unknownVariable(variable).ifPresent(problems::add);
        }
        Set<String> given = new TreeSet<>();
        for (ConfigSource source : config.getConfigSources()) {
            for (String name : source.getPropertyNames()) {
                if (name.startsWith(PREFIX)) {
                    given.add(name);
                }
            }
        }
        for (String name : given) {
            problem(config, name, environment).ifPresent(problems::add);
        }
        return problems;
    }

    private static Optional<String> problem(Config config, String name, Map<String, String> environment) {
        Optional<Kind> kind = kind(name);
        if (kind.isEmpty()) {
            // The configuration guesses the dots of a variable's name. Its real name was checked with the variables.
            return environment.containsKey(variable(name)) ? Optional.empty() : Optional.of(unknown(name, names()));
        }
        return config.getOptionalValue(name, String.class)
                .filter(value -> !value.isBlank())
                .flatMap(value -> refusal(kind.get(), value)
                        .map(accepted -> "%s is %s, expected %s".formatted(name, Printable.of(value, 100), accepted)));
    }

    /** Accepts a value that cannot be parsed: the configuration names it in its own error. */
    private static Optional<String> refusal(Kind kind, String value) {
        try {
            return kind.refusal(value);
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** Returns whether a value is in its setting's range, for code that runs before the configuration exists. */
    public static boolean accepts(String name, String value) {
        return refusal(ALL.get(name), value).isEmpty();
    }

    private static Optional<Kind> kind(String name) {
        // An element of a list is set as name[0].
        String whole = name.replaceAll("\\[[0-9]+]$", "");
        return ALL.keySet().stream()
                .filter(known -> pattern(known, "\\.", "(\"[^\"]+\"|[^.]+)")
                        .matcher(whole)
                        .matches())
                .findFirst()
                .map(ALL::get);
    }

    private static Pattern pattern(String known, String separator, String choice) {
        return Pattern.compile(Stream.of(known.split("\\."))
                .map(part -> part.equals(NAME) ? choice : Pattern.quote(part))
                .reduce((before, part) -> before + separator + part)
                .orElseThrow());
    }

    private static Optional<String> unknownVariable(String variable) {
        if (!variable.startsWith(VARIABLE_PREFIX)
                || OTHERS.contains(variable)
                || SERVICE_LINK.matcher(variable).matches()) {
            return Optional.empty();
        }
        String whole = variable.replaceAll("_[0-9]+_$", "");
        boolean known = names().stream().anyMatch(name -> pattern(variable(name).replace('_', '.'), "_", "[A-Z0-9_]+")
                .matcher(whole)
                .matches());
        return known
                ? Optional.empty()
                : Optional.of(unknown(
                        variable, names().stream().map(Settings::variable).toList()));
    }

    private static String variable(String name) {
        return name.replaceAll("[^a-zA-Z0-9]", "_").toUpperCase(Locale.ROOT);
    }

    private static String unknown(String name, Collection<String> known) {
        return "%s is not a setting, the nearest is %s".formatted(Printable.of(name, 100), Nearest.of(name, known));
    }
}
