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

/** Lists tasks by their names, of which somebody may see some. Nothing is fetched or checked. */
public final class TaskListing {

    /** The most tasks of one page. */
    public static final int MAX_ENTRIES = 10_000;

    /** A page whose tasks lie too far from each other, among other objects, ends early. */
    private static final Duration TIME_LIMIT = Duration.ofSeconds(5);

    /** Such a page ends between two tasks. No name of a task begins so. */
    private static final String POSITION = "/";

    private static final int MAX_POSITION = 1_024;

    /** Greater than all that names are made of. */
    private static final char BEHIND_NAMES = '~';

    /** Where a first question finds too little, others ask for more: among many other objects they would take long. */
    private static final int GROWTH = 4;

    private final Store store;
    private final LongSupplier nanoTime;

    TaskListing(Store store, LongSupplier nanoTime) {
        this.store = store;
        this.nanoTime = nanoTime;
    }

    /** @param stored when the version was stored that is stored now */
    public record Entry(TaskName name, Instant stored) {}

    /**
     * Tasks in ascending order of their keys: {@code a-b} comes before {@code a}, whose key goes on with a {@code /}.
     *
     * @param next the {@code after} of the page that follows: the last name of this one, or, where the page ended early, a position
     *     that begins with {@code /}; empty at the end
     */
    public record Page(List<Entry> entries, Optional<String> next) {
        public Page {
            entries = List.copyOf(entries);
        }
    }

    /**
     * Lists the tasks whose names fit. It asks for their own parts of the store, so a page tells of nothing else, and costs what it
     * gives.
     *
     * @param after a name, which need not be a task's, or a {@link Page#next}; empty for the first page
     * @param limit from 1 to {@link #MAX_ENTRIES}
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

    /** The key behind which the page begins. */
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
