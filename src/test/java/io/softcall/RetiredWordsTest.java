package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Words that the code once used for things that have a name in the field; docs/architecture.md has the glossary. */
class RetiredWordsTest {

    /** Each with the word that took its place. */
    private static final Map<String, String> RETIRED = new TreeMap<>(Map.ofEntries(
            Map.entry("Patience|PatientBucket|PATIENCE|patience", "RetryPolicy, RetryingBucket, deadline, timeout"),
            Map.entry("Crowd|crowd", "Coalescer"),
            Map.entry("Means", "SessionResources"),
            Map.entry("HangUps?|hungUp|hangUp", "Cancellations, cancellation"),
            Map.entry("Proven|proven|provenNanos", "Validated"),
            Map.entry("guess|guessed", "cached, speculation"),
            Map.entry("Question|questions?", "Revalidation, request"),
            Map.entry("Fates?|fates?|seal", "Outcome, resolve"),
            Map.entry("DividedTrunk|isDivided|divided|undivided", "PartitionedTrunk, isPartitioned"),
            Map.entry("runningAlone|isLone", "computingExclusively, isSolitary")));

    /** The setting softcall.jobs.store-patience keeps its public name. */
    private static final Pattern PUBLIC_NAMES = Pattern.compile("store-patience|storePatience");

    @Test
    void noRetiredIdentifierIsLeft() throws IOException {
        assertEquals(Map.of(), found(Path.of("src/main/java")));
    }

    @Test
    void aRetiredIdentifierIsFound() {
        assertEquals(List.of("Patience"), words("record Patience(Duration limit) {}"));
        assertEquals(List.of("hungUp"), words("await(hungUp)"));
        assertEquals(List.of(), words("config.storePatience(); // of undividedness"));
    }

    private static Map<String, List<String>> found(Path sources) throws IOException {
        Map<String, List<String>> found = new TreeMap<>();
        try (Stream<Path> files = Files.walk(sources)) {
            for (Path file :
                    files.filter(each -> each.toString().endsWith(".java")).toList()) {
                List<String> words = words(Files.readString(file));
                if (!words.isEmpty()) {
                    found.put(file.toString(), words);
                }
            }
        }
        return found;
    }

    private static List<String> words(String source) {
        Pattern retired = Pattern.compile("\\b(?:" + String.join("|", RETIRED.keySet()) + ")\\b");
        return retired.matcher(PUBLIC_NAMES.matcher(source).replaceAll(""))
                .results()
                .map(match -> match.group())
                .toList();
    }
}
