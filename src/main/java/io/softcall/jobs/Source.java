package io.softcall.jobs;

import io.softcall.SoftcallException;
import io.softcall.jobs.Plan.Range;
import io.softcall.store.Bucket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A job's file: how it is split, and the rows of a part. Whatever a decoder throws is the file's fault. */
record Source(Bucket bucket, Input input, Format format, Compression compression) {

    Source(Bucket bucket, Input input) throws JobFailure {
        this(bucket, input, Format.of(input.key()), Compression.of(input.key()));
    }

    /**
     * Where the file can be read from: parts that anybody can read without the others.
     *
     * @return empty when it can only be read from its start
     */
    Optional<List<Range>> split(long partBytes, int partRows) throws JobFailure {
        if (format == Format.PARQUET) {
            return Optional.of(blaming(() -> Parquet.split(bucket, input, partRows)));
        }
        if (format == Format.CSV || compression != Compression.NONE) {
            return Optional.empty();
        }
        long size = Math.max(partBytes, input.bytes() / Plan.MAX_PARTS + 1);
        List<Range> parts = new ArrayList<>();
        for (long from = 0; from < input.bytes(); from += size) {
            parts.add(new Range(from, Math.min(from + size, input.bytes())));
        }
        return Optional.of(parts);
    }

    /** The rows of one part. */
    Reading read(Range range, int rowBytes) throws JobFailure {
        return new Reading(blaming(() -> format == Format.PARQUET
                ? new Parquet(bucket, input, range)
                : new JsonLines(
                        new ObjectStream(bucket, input, Math.max(0, range.from() - 1)),
                        range.from(),
                        range.to(),
                        rowBytes)));
    }

    /** All rows of a file that is not split. */
    Reading readWhole(int rowBytes) throws JobFailure {
        return new Reading(blaming(() -> {
            var in = compression.open(new ObjectStream(bucket, input, 0));
            return format == Format.CSV ? new Csv(in, rowBytes) : new JsonLines(in, 0, Long.MAX_VALUE, rowBytes);
        }));
    }

    /** Rows with a look at the next one. */
    static final class Reading implements AutoCloseable {

        private final Rows rows;
        private Optional<Row> next;

        private Reading(Rows rows) throws JobFailure {
            this.rows = rows;
            this.next = blaming(rows::next);
        }

        boolean hasNext() {
            return next.isPresent();
        }

        Row next() throws JobFailure {
            Row row = next.orElseThrow();
            next = blaming(rows::next);
            return row;
        }

        @Override
        public void close() throws JobFailure {
            blaming(() -> {
                rows.close();
                return null;
            });
        }
    }

    private interface Decoding<T> {
        T run() throws IOException;
    }

    private static <T> T blaming(Decoding<T> decoding) throws JobFailure {
        try {
            return decoding.run();
        } catch (JobFailure | SoftcallException e) {
            throw e;
        } catch (IOException | RuntimeException e) {
            throw JobFailure.badFile("the file cannot be read to its end: %s", e);
        }
    }
}
