package io.softcall.task;

import java.util.ArrayList;
import java.util.List;

/**
 * Which tasks somebody may see and call.
 *
 * @param patterns each a task's name, or a prefix of names and a {@code *}
 */
public record TaskPatterns(List<String> patterns) {

    private static final String ANY = "*";

    public TaskPatterns {
        patterns = List.copyOf(patterns);
    }

    /** Whether a name fits one of them. */
    public boolean fit(TaskName name) {
        return patterns.stream()
                .anyMatch(pattern -> pattern.endsWith(ANY)
                        ? name.value().startsWith(prefix(pattern))
                        : name.value().equals(pattern));
    }

    /**
     * How the keys of these tasks begin: parts of a store that do not overlap, in ascending order. Other keys may begin so, too. A
     * pattern without {@code *} is the part that begins with its task's key.
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
