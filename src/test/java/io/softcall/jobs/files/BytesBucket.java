package io.softcall.jobs.files;

import io.softcall.store.Bucket;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** One object in memory. Fuzzers read thousands of files a second, for which a folder is too slow. */
public record BytesBucket(byte[] content) implements Bucket {

    private static final String VERSION = "1";

    /** A file of a job. */
    public static StoredFile file(String name, byte[] content) {
        return new StoredFile(
                new StoredFile.Counting(new BytesBucket(content)), new Input("memory", name, VERSION, content.length));
    }

    @Override
    public Optional<Stat> stat(String key) {
        return Optional.of(new Stat(VERSION, content.length));
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        if (from < 0 || from >= content.length || length < 1) {
            throw new IllegalArgumentException("%d bytes from %d of %d".formatted(length, from, content.length));
        }
        return Optional.of(Arrays.copyOfRange(content, (int) from, (int) Math.min(content.length, from + length)));
    }

    @Override
    public boolean create(String key, Path file) {
        throw new UnsupportedOperationException("files are read only");
    }

    @Override
    public boolean create(String key, byte[] object) {
        throw new UnsupportedOperationException("files are read only");
    }

    @Override
    public List<String> list(String prefix, int limit) {
        throw new UnsupportedOperationException("files are read only");
    }

    @Override
    public String uri() {
        return "memory:";
    }
}
