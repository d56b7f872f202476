package io.softcall.task.catalog;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.task.TaskName;
import io.softcall.task.TaskPatterns;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/** For any keys and any caller, the pages list each visible task once, and no other task. */
class TaskListingFuzzTest {

    private static final int MOST_KEYS = 50;
    private static final int MOST_PATTERNS = 8;

    /** @param input limit and step (a character each), patterns separated by commas, a cursor, and keys */
    @FuzzTest
    void pages(byte[] input) {
        List<String> texts = FuzzTexts.of(input);
        String numbers = texts.getFirst();
        int limit = 1 + (numbers.isEmpty() ? 0 : numbers.charAt(0) % 7);
        List<String> wanted =
                texts.size() < 2 ? List.of("*") : List.of(texts.get(1).split(",", MOST_PATTERNS));
        TaskPatterns patterns = new TaskPatterns(wanted);
        MemoryStore store = new MemoryStore();
        store.step = 1 + (numbers.length() < 2 ? 100 : numbers.charAt(1) % 7);
        texts.stream().skip(3).limit(MOST_KEYS).forEach(store.keys::add);
        texts.stream().skip(3).limit(MOST_KEYS).forEach(store::add);

        List<String> expected = store.keys.stream()
                .flatMap(key -> TaskName.find(key).stream())
                .filter(patterns::fit)
                .sorted(Comparator.comparing(TaskName::key))
                .map(TaskName::value)
                .toList();
        // Each request takes a second, so that pages end early.
        AtomicLong nanos = new AtomicLong();
        TaskListing listing = new TaskListing(store, () -> nanos.addAndGet(1_000_000_000));
        assertEquals(expected, all(listing, patterns, "", limit, 4 * (expected.size() + store.keys.size() + 10)));
        if (texts.size() > 2) {
            from(listing, patterns, texts.get(2), expected);
        }
    }

    private static List<String> all(
            TaskListing listing, TaskPatterns patterns, String first, int limit, int mostPages) {
        List<String> names = new ArrayList<>();
        Optional<String> after = Optional.of(first);
        for (int pages = 0; after.isPresent(); pages++) {
            assertTrue(pages < mostPages, "pages without an end");
            TaskListing.Page page = listing.list(patterns, after.get(), limit);
            assertTrue(page.entries().size() <= limit);
            page.entries().forEach(row -> names.add(row.name().value()));
            after = page.next();
        }
        return names;
    }

    /** Checks that any cursor gives the last part of all names, or is refused. */
    private static void from(TaskListing listing, TaskPatterns patterns, String cursor, List<String> expected) {
        List<String> rest;
        try {
            rest = all(listing, patterns, cursor, TaskListing.MAX_ENTRIES, 1_000);
        } catch (SoftcallException e) {
            Reasons.ofTheSender(e);
            return;
        }
        assertEquals(expected.subList(expected.size() - rest.size(), expected.size()), rest);
    }
}
