package io.softcall.jobs.files;

import java.io.IOException;
import java.util.Optional;

/** The rows of a file, or of a part of one, in order. Not thread-safe. */
public interface Rows extends AutoCloseable {

    /**
     * Returns the next row; empty at the end, and at each later call.
     *
     * @throws JobFailure when the file is at fault
     * @throws IOException when the file is at fault, and a decoder cannot say more about it
     */
    Optional<Row> next() throws IOException;

    @Override
    void close() throws IOException;
}
