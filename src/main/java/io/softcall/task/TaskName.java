package io.softcall.task;

import io.softcall.SoftcallException;
import java.util.Optional;
import java.util.regex.Pattern;

/** A valid task name. Only valid names reach a store. */
public record TaskName(String value) implements Comparable<TaskName> {

    public static final int MAX_LENGTH = 200;

    public static final String OBJECT = "/adapter_model.safetensors";

    private static final Pattern VALID = Pattern.compile("[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*");

    /** @throws SoftcallException {@code INVALID_REQUEST} if the name is not valid */
    public TaskName {
        if (!isValid(value)) {
            throw SoftcallException.invalid(
                    "task name %s: expected segments of a-z 0-9 . _ - that begin with a letter or digit, joined by '/',"
                            + " at most %d characters",
                    quote(value), MAX_LENGTH);
        }
    }

    private static boolean isValid(String value) {
        return value.length() <= MAX_LENGTH && VALID.matcher(value).matches();
    }

    /** Returns the key of the task's artifact in a store. */
    public String key() {
        return value + OBJECT;
    }

    /**
     * Returns the name of the task whose artifact has this key.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} if it is not the key of a task
     */
    public static TaskName ofKey(String key) {
        return new TaskName(key.substring(0, Math.max(0, key.length() - OBJECT.length())));
    }

    /** Returns the name of the task whose artifact has this key; empty if it is not the key of a task with a valid name. */
    public static Optional<TaskName> find(String key) {
        String value = key.endsWith(OBJECT) ? key.substring(0, key.length() - OBJECT.length()) : "";
        return isValid(value) ? Optional.of(new TaskName(value)) : Optional.empty();
    }

    private static String quote(String value) {
        return value.length() <= 60
                ? '"' + value + '"'
                : '"' + value.substring(0, 60) + "...\" (%d characters)".formatted(value.length());
    }

    @Override
    public int compareTo(TaskName other) {
        return value.compareTo(other.value);
    }

    @Override
    public String toString() {
        return value;
    }
}
