package io.softcall.task;

import java.util.ArrayList;
import java.util.List;

/**
 * The patterns of the tasks that a caller may see and call.
 *
 * @param patterns each is a task's name, or a prefix of names followed by {@code *}
 */
public record TaskPatterns(List<String> patterns) {

    private static final String ANY = "*";

    public TaskPatterns {
        patterns = List.copyOf(patterns);
    }

    /** Returns whether a name matches one of the patterns. */
    public boolean fit(TaskName name) {
        return patterns.stream()
                .anyMatch(pattern -> pattern.endsWith(ANY)
                        ? name.value().startsWith(prefix(pattern))
                        : name.value().equals(pattern));
    }

    /**
     * Returns the prefixes of these tasks' keys, in ascending order. No prefix begins with another one, so they select parts of
     * a store that do not overlap. Other keys may have these prefixes too. A pattern without {@code *} becomes its task's key.
     */
    public List<String> keyPrefixes() {
        List<String> all = patterns.stream()
                .map(pattern -> pattern.endsWith(ANY) ? prefix(pattern) : pattern + TaskName.OBJECT)
                .sorted()
                .toList();
        List<String> prefixes = new ArrayList<>();
        for (String prefix : all) {
            if (prefixes.isEmpty() || !prefix.startsWith(prefixes.getLast())) {
                prefixes.add(prefix);
            }
        }
        return prefixes;
    }

    private static String prefix(String pattern) {
        return pattern.substring(0, pattern.length() - ANY.length());
    }
}
