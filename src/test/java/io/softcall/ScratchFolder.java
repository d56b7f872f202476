package io.softcall;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder that is deleted with its contents when it is closed. Test resources use it, because they outlive a test class while
 * JUnit's {@code @TempDir} does not, and so do tests whose folder disappears.
 */
public record ScratchFolder(Path path) implements AutoCloseable {

    static ScratchFolder named(String name) throws IOException {
        return new ScratchFolder(Files.createTempDirectory("softcall-" + name));
    }

    @Override
    public void close() {
        try (Stream<Path> paths = Files.walk(path)) {
            List<Path> contentsFirst = paths.sorted(Comparator.reverseOrder()).toList();
            for (Path each : contentsFirst) {
                Files.delete(each);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
