package io.softcall.task.catalog;

import io.softcall.SoftcallException;
import io.softcall.store.Store;
import io.softcall.task.TaskName;
import io.softcall.task.TaskPatterns;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;

/** Lists the names of the tasks that a caller may see. It does not fetch or validate the artifacts. */
public final class TaskListing {

    /** The bound on the tasks of one page. */
    public static final int MAX_ENTRIES = 10_000;

    /** The time after which a page ends early, because there are many other objects between its tasks. */
    private static final Duration TIME_LIMIT = Duration.ofSeconds(5);

    /** The first character of a position between two tasks, where a page ended early. No name of a task begins with it. */
    private static final String POSITION = "/";

    private static final int MAX_POSITION = 1_024;

    /** A character greater than all characters of names. */
    private static final char BEHIND_NAMES = '~';

    /**
     * The factor by which each further listing for a page requests more objects. Many small listings would take long.
     */
    private static final int GROWTH = 4;

    private final Store store;
    private final LongSupplier nanoTime;

    TaskListing(Store store, LongSupplier nanoTime) {
        this.store = store;
        this.nanoTime = nanoTime;
    }

    /** @param stored the time when the current version was stored */
    public record Entry(TaskName name, Instant stored) {}

    /**
     * Tasks in ascending order of their keys: {@code a-b} comes before {@code a}, whose key continues with a {@code /}.
     *
     * @param next the {@code after} of the next page: the last name of this page, or a position that begins with {@code /} if
     *     this page ended early; empty at the end
     */
    public record Page(List<Entry> entries, Optional<String> next) {
        public Page {
            entries = List.copyOf(entries);
        }
    }

    /**
     * Lists the tasks whose names match the patterns. It lists only their parts of the store. So a page reveals nothing about
     * other tasks, and its cost depends on its own tasks.
     *
     * @param after a name, which need not be that of an existing task, or a {@link Page#next}; empty for the first page
     * @param limit the number of tasks, from 1 to {@link #MAX_ENTRIES}
     * @throws SoftcallException {@code INVALID_REQUEST} for an {@code after} that is neither, {@code STORE_UNAVAILABLE}, {@code
     *     STORE_DENIED}
     */
    Page list(TaskPatterns patterns, String after, int limit) {
        long end = nanoTime.getAsLong() + TIME_LIMIT.toNanos();
        List<Entry> entries = new ArrayList<>();
        String position = position(after);
        for (String prefix : patterns.keyPrefixes()) {
            boolean isBehind = position.compareTo(prefix) > 0 && !position.startsWith(prefix);
            Optional<String> next = isBehind ? Optional.empty() : Optional.of(position);
            for (int growth = 1; next.isPresent(); growth = Math.min(growth * GROWTH, MAX_ENTRIES)) {
                if (end - nanoTime.getAsLong() < 0) {
                    return new Page(entries, Optional.of(POSITION + next.get()));
                }
                long wanted = Math.min(MAX_ENTRIES, (long) growth * (limit + 1 - entries.size()));
                Store.Page found = store.list(prefix, TaskName.OBJECT, next.get(), (int) wanted);
                for (Store.Entry entry : found.entries()) {
                    TaskName.find(entry.key())
                            .filter(patterns::fit)
                            .ifPresent(name -> entries.add(new Entry(name, entry.modified())));
                    if (entries.size() > limit) {
                        return cut(entries, limit);
                    }
                }
                next = found.next();
            }
            position = isBehind ? position : prefix + BEHIND_NAMES;
        }
        return new Page(entries, Optional.empty());
    }

    private static Page cut(List<Entry> entries, int limit) {
        List<Entry> shown = entries.subList(0, limit);
        return new Page(shown, Optional.of(shown.getLast().name().value()));
    }

    /** Returns the key after which the page begins. */
    private static String position(String after) {
        if (after.isEmpty()) {
            return after;
        }
        if (after.length() > MAX_POSITION) {
            throw SoftcallException.invalid(
                    "after has %d characters, at most %d are accepted", after.length(), MAX_POSITION);
        }
        return after.startsWith(POSITION) ? after.substring(POSITION.length()) : new TaskName(after).key();
    }
}
