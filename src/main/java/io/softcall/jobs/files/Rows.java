package io.softcall.jobs.files;

import java.io.IOException;
import java.util.Optional;

/** The rows of a file, or of a part of one, in order. For one thread. */
public interface Rows extends AutoCloseable {

    /**
     * The next row; empty at the end, and from then on.
     *
     * @throws JobFailure when the file is at fault
     * @throws IOException likewise, from a decoder that knows less of it
     */
    Optional<Row> next() throws IOException;

    @Override
    void close() throws IOException;
}
