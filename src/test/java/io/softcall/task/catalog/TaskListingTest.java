package io.softcall.task.catalog;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.TaskPatterns;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Which caller sees which tasks, and which requests to the store that takes. The keys are in memory, and each request takes a
 * second.
 */
class TaskListingTest {

    private final AtomicLong nanos = new AtomicLong();
    private final MemoryStore store = new Slow();
    private final TaskListing listing = new TaskListing(store, nanos::get);

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            *                       | a-b a a/b acme-x acme/a acme acme/b/c b
            acme/*                  | acme/a acme/b/c
            acme*                   | acme-x acme/a acme acme/b/c
            acme*,acme/*,acme/a     | acme-x acme/a acme acme/b/c
            b,a                     | a b
            acme,acme/a*            | acme/a acme
            acme/b/*,a/*,a,*x       | a a/b acme/b/c
            nothing,gone/*          |
            a/adapter*              |
            ../*,/,B                |
            """)
    void theTasksOfAKeyAreInOrderAndEachIsThereOnce(String patterns, String expected) {
        store.add("a", "a-b", "a/b", "acme", "acme-x", "acme/a", "acme/b/c", "b", "B", "acme/\u00e9", "acme/x y");
        store.keys.add("acme/a/adapter_config.json");
        List<String> names = expected == null ? List.of() : List.of(expected.split(" "));
        for (int limit : new int[] {1, 2, 3, 100}) {
            assertEquals(names, all(List.of(patterns.split(",")), limit), () -> patterns + " by " + limit);
        }
    }

    @Test
    void theCursorIsTheLastNameThatWasShown() {
        store.add("acme/a", "acme/b", "other", "secret");
        TaskListing.Page page = list(List.of("acme/*"), "", 1);
        assertEquals(Optional.of("acme/a"), page.next());
        assertEquals(Optional.empty(), list(List.of("acme/*"), "acme/a", 1).next());
        assertEquals(Optional.empty(), list(List.of("acme/*", "gone"), "", 2).next());
        assertEquals(List.of("other"), names(list(List.of("*"), "acme/zzz", 1)));
    }

    @Test
    void onlyTheKeysOwnPartIsAskedFor() {
        store.add("acme/a", "acme/b", "acme/c", "other", "secret");
        list(List.of("acme/*", "secret"), "acme/c", 1);
        assertEquals(List.of("acme/", "secret/adapter_model.safetensors"), store.asked);
        store.asked.clear();
        list(List.of("acme/*", "secret"), "acme/a", 1);
        assertEquals(List.of("acme/"), store.asked);
        store.asked.clear();
        list(List.of("acme/*", "secret"), "zebra", 1);
        assertEquals(List.of(), store.asked);
    }

    /** A page that finds no tasks among other objects ends early, and returns the position at which the next page continues. */
    @Test
    void tasksThatLieFarApartAreFoundInSteps() {
        IntStream.range(0, 100).forEach(i -> store.keys.add("m/%03d".formatted(i)));
        store.add("a", "z");
        store.step = 3;
        TaskListing.Page page = list(List.of("*"), "", 10);
        assertEquals(List.of("a"), names(page));
        assertTrue(page.next().orElseThrow().startsWith("/m/"), page::toString);
        assertEquals(List.of("a", "z"), all(List.of("*"), 10));
        IntStream.range(0, 30).forEach(i -> store.add("p%02d/x".formatted(i)));
        List<String> patterns =
                IntStream.range(0, 30).mapToObj("p%02d/x"::formatted).toList();
        assertTrue(list(patterns, "", 100).next().orElseThrow().startsWith("/p"));
        assertEquals(patterns, all(patterns, 100));
    }

    @ParameterizedTest
    @ValueSource(strings = {"a b", "A", "a//b", "\u00e9"})
    void anImpossibleCursorIsAnError(String after) {
        SoftcallException e = assertThrows(SoftcallException.class, () -> list(List.of("*"), after, 1));
        assertEquals(Reason.INVALID_REQUEST, e.reason());
        assertThrows(SoftcallException.class, () -> list(List.of("*"), "/" + "a".repeat(1_100), 1));
    }

    private TaskListing.Page list(List<String> patterns, String after, int limit) {
        return listing.list(new TaskPatterns(patterns), after, limit);
    }

    private List<String> all(List<String> patterns, int limit) {
        List<String> names = new ArrayList<>();
        Optional<String> after = Optional.of("");
        while (after.isPresent()) {
            TaskListing.Page page = list(patterns, after.get(), limit);
            names.addAll(names(page));
            assertTrue(page.entries().size() <= limit);
            after = page.next();
        }
        return names;
    }

    private static List<String> names(TaskListing.Page page) {
        return page.entries().stream().map(row -> row.name().value()).toList();
    }

    /** Each request to the store takes a second. */
    private final class Slow extends MemoryStore {

        @Override
        public Page list(String prefix, String suffix, String after, int limit) {
            nanos.addAndGet(TimeUnit.SECONDS.toNanos(1));
            return super.list(prefix, suffix, after, limit);
        }
    }
}
