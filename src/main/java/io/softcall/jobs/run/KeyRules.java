package io.softcall.jobs.run;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Location;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Decides which files jobs read, and with which task: by the configured buckets and patterns, and by what a key may
 * contain.
 */
public final class KeyRules {

    private static final int MAX_KEY_LENGTH = 1_024;
    /** Length of a key, a slash and a version. */
    private static final int MAX_ID_LENGTH = MAX_KEY_LENGTH + 100;

    private static final Pattern IMPOSSIBLE_KEY =
            Pattern.compile("(|.*/)\\.{0,2}(|/.*)|.*\\p{Cntrl}.*", Pattern.DOTALL);

    private record Rule(Pattern keys, String task) {}

    private final List<String> buckets;
    private final Pattern keys;
    /** Rules by their configured names. */
    private final Map<String, Rule> rules = new TreeMap<>();

    /** @throws IllegalArgumentException when the output's bucket is not listed, or a rule's task has an invalid name */
    public KeyRules(JobsConfig config) {
        this.buckets = config.buckets().orElse(List.of());
        this.keys = pattern(config.keys());
        config.output().ifPresent(this::requireListedOutput);
        config.rules()
                .forEach((name, rule) ->
                        rules.put(name, new Rule(pattern(rule.keys()), new TaskName(rule.task()).value())));
    }

    /** Returns a pattern in which {@code *} matches any characters. */
    private static Pattern pattern(String keys) {
        return Pattern.compile(
                List.of(keys.split("\\*", -1)).stream()
                        .map(Pattern::quote)
                        .reduce((a, b) -> a + ".*" + b)
                        .orElse(""),
                Pattern.DOTALL);
    }

    private void requireListedOutput(String uri) {
        String bucket = Location.bucket("softcall.jobs.output", uri);
        if (!buckets.contains(bucket)) {
            throw new IllegalArgumentException(
                    "softcall.jobs.output=%s: %s is not among softcall.jobs.buckets".formatted(uri, bucket));
        }
    }

    /** @throws SoftcallException {@code FORBIDDEN} when the bucket is not configured */
    void requireListed(String bucket) {
        if (!buckets.contains(bucket)) {
            throw new SoftcallException(
                    Reason.FORBIDDEN, "bucket \"%s\" is not among softcall.jobs.buckets".formatted(bucket));
        }
    }

    /** Returns whether the file with this key is classified. Folders are not. */
    boolean include(String key) {
        return !key.endsWith("/") && keys.matcher(key).matches();
    }

    /** Returns the task of rows that name none. When several rules match, the one whose name sorts first is used. */
    Optional<String> task(String key) {
        return rules.values().stream()
                .filter(rule -> rule.keys().matcher(key).matches())
                .findFirst()
                .map(Rule::task);
    }

    static boolean isPossible(String key) {
        return key.length() <= MAX_KEY_LENGTH
                && (key.endsWith("/") || !IMPOSSIBLE_KEY.matcher(key).matches());
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} when the key is not possible */
    static void requirePossible(String key) {
        if (!isPossible(key)) {
            throw SoftcallException.invalid(
                    "key \"%s\": expected at most %d characters, no control characters, and no segment that is empty, . or ..",
                    key, MAX_KEY_LENGTH);
        }
    }

    /** Returns whether this may be the id of a job: a key, a slash, an ETag. */
    public static boolean isId(String id) {
        return id.length() <= MAX_ID_LENGTH && !IMPOSSIBLE_KEY.matcher(id).matches();
    }
}
