package io.softcall.task.catalog;

import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.task.TaskName;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/** A store in memory with sorted keys, for tests of listings. */
class MemoryStore implements Store {

    final TreeSet<String> keys = new TreeSet<>();
    /** The prefixes of all requests. */
    final List<String> asked = new ArrayList<>();
    /** The number of keys that one request looks at. */
    int step = 1_000;

    void add(String... names) {
        for (String name : names) {
            keys.add(name + TaskName.OBJECT);
        }
    }

    @Override
    public Answer get(String key, Optional<String> known, Loading.Lease lease) {
        return new Missing();
    }

    @Override
    public Page list(String prefix, String suffix, String after, int limit) {
        asked.add(prefix);
        List<String> looked = keys.tailSet(after, false).stream()
                .filter(key -> key.startsWith(prefix))
                .limit(step)
                .toList();
        List<Entry> entries = looked.stream()
                .filter(key -> key.endsWith(suffix))
                .limit(limit)
                .map(key -> new Entry(key, Instant.EPOCH))
                .toList();
        Optional<String> next = entries.size() == limit
                ? Optional.of(entries.getLast().key())
                : looked.size() == step ? Optional.of(looked.getLast()) : Optional.empty();
        return new Page(entries, next, true);
    }

    @Override
    public String uri() {
        return "memory";
    }
}
