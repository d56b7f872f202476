package io.softcall.jobs.files;

import io.softcall.jobs.formats.Source;
import io.softcall.store.Bucket;
import io.softcall.store.folder.FolderBuckets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A job's file in a folder with its rows, as every instance would read it. */
public record StoredFile(Counting bucket, Input input) {

    public static final Limits LIMITS = new Limits(1_000, 1 << 24, 10_000);

    /** The number of bytes that were read from the folder. */
    public static final class Counting implements Bucket {

        private final Bucket folder;
        private long bytes;

        Counting(Bucket folder) {
            this.folder = folder;
        }

        @Override
        public Optional<Stat> stat(String key) {
            return folder.stat(key);
        }

        @Override
        public Optional<byte[]> read(String key, String version, long from, int length) {
            bytes += length;
            return folder.read(key, version, from, length);
        }

        @Override
        public boolean create(String key, Path content) {
            return folder.create(key, content);
        }

        @Override
        public boolean create(String key, byte[] content) {
            return folder.create(key, content);
        }

        @Override
        public List<String> list(String prefix, int limit) {
            return folder.list(prefix, limit);
        }

        @Override
        public String uri() {
            return folder.uri();
        }

        public long bytes() {
            return bytes;
        }
    }

    public static StoredFile of(Path folder, String name, byte[] content) throws IOException {
        Files.write(folder.resolve(name), content);
        Counting bucket = new Counting(FolderBuckets.of(folder));
        Bucket.Stat stat = bucket.stat(name).orElseThrow();
        return new StoredFile(bucket, new Input("folder", name, stat.version(), stat.bytes()));
    }

    /** Returns all rows, part by part. */
    public List<Row> rows(long partBytes, int partRows, Limits limits) throws JobFailure {
        List<Row> rows = new ArrayList<>();
        Source source = new Source(bucket, input);
        Optional<List<Range>> parts = source.split(partBytes, partRows, limits);
        if (parts.isEmpty()) {
            add(rows, source.readWhole(limits));
            return rows;
        }
        for (Range part : parts.get()) {
            // Each part gets a new source, because any instance may read it.
            add(rows, new Source(bucket, input).read(part, limits));
        }
        return rows;
    }

    public List<Row> rows() throws JobFailure {
        return rows(1_000, 100, LIMITS);
    }

    private static void add(List<Row> rows, Source.Reading reading) throws JobFailure {
        try (reading) {
            while (reading.hasNext()) {
                rows.add(reading.next());
            }
        }
    }
}
