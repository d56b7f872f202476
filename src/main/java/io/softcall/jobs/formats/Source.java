package io.softcall.jobs.formats;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.jobs.files.Compression;
import io.softcall.jobs.files.FileRange;
import io.softcall.jobs.files.Input;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.ObjectStream;
import io.softcall.jobs.files.Range;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.Rows;
import io.softcall.jobs.formats.parquet.Parquet;
import io.softcall.jobs.formats.parquet.ParquetFooter;
import io.softcall.store.Bucket;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.xerial.snappy.SnappyError;

/**
 * The file of a job: how it is split, and the rows of its parts. Failures of decoders are the file's fault. Not
 * thread-safe.
 */
public final class Source {

    private final FileRange file;
    private final Format format;
    private final Compression compression;
    private Optional<ParquetFooter> footer = Optional.empty();

    public Source(Bucket bucket, Input input) throws JobFailure {
        this.file = new FileRange(bucket, input);
        this.format = Format.of(input.key());
        this.compression = Compression.of(input.key());
    }

    public Format format() {
        return format;
    }

    public Compression compression() {
        return compression;
    }

    /**
     * Splits the file into parts that can be read independently.
     *
     * @return empty when the file can only be read from its start
     * @throws JobFailure when the file is at fault, or exceeds a limit
     */
    public Optional<List<Range>> split(long partBytes, int partRows, Limits limits) throws JobFailure {
        if (format == Format.PARQUET) {
            ParquetFooter rows = footer();
            if (rows.rows() > limits.rows()) {
                throw limits.tooManyRows();
            }
            if (rows.unpackedBytes() > limits.bytes()) {
                throw limits.tooManyBytes();
            }
            return Optional.of(Parquet.split(rows, partRows));
        }
        if (format == Format.CSV || compression != Compression.NONE) {
            return Optional.empty();
        }
        if (file.bytes() > limits.bytes()) {
            throw limits.tooManyBytes();
        }
        long size = Math.max(partBytes, file.bytes() / Range.MAX_PARTS + 1);
        List<Range> parts = new ArrayList<>();
        for (long from = 0; from < file.bytes(); from += size) {
            parts.add(new Range(from, Math.min(from + size, file.bytes())));
        }
        return Optional.of(parts);
    }

    private ParquetFooter footer() throws JobFailure {
        if (footer.isEmpty()) {
            footer = Optional.of(decode(() -> ParquetFooter.read(file)));
        }
        return footer.get();
    }

    /** Returns the rows of one part. */
    public Reading read(Range range, Limits limits) throws JobFailure {
        if (format == Format.PARQUET) {
            return new Reading(new Parquet(file, footer(), range, limits), limits);
        }
        return new Reading(
                decode(() -> new JsonLines(
                        stream(Math.max(0, range.from() - 1)), range.from(), range.to(), limits.rowBytes())),
                limits);
    }

    /** Returns all rows of a file that is not split. */
    public Reading readWhole(Limits limits) throws JobFailure {
        return new Reading(
                decode(() -> {
                    InputStream in = new Bounded(compression.open(stream(0)), limits);
                    return format == Format.CSV
                            ? new Csv(in, limits.rowBytes())
                            : new JsonLines(in, 0, Long.MAX_VALUE, limits.rowBytes());
                }),
                limits);
    }

    private ObjectStream stream(long from) {
        return new ObjectStream(file.bucket(), file.input(), from);
    }

    /** Bounds the uncompressed bytes: a small compressed file can become very large. */
    private static final class Bounded extends FilterInputStream {

        private final Limits limits;
        private long bytes;

        Bounded(InputStream in, Limits limits) {
            super(in);
            this.limits = limits;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            int read = in.read(buffer, offset, length);
            bytes += Math.max(0, read);
            if (bytes > limits.bytes()) {
                throw limits.tooManyBytes();
            }
            return read;
        }
    }

    /** The rows of a file or part, with a lookahead of one row. */
    public static final class Reading implements AutoCloseable {

        private final Rows rows;
        private final Limits limits;
        private long count;
        private Optional<Row> next;

        private Reading(Rows rows, Limits limits) throws JobFailure {
            this.rows = rows;
            this.limits = limits;
            this.next = readNext();
        }

        public boolean hasNext() {
            return next.isPresent();
        }

        public Row next() throws JobFailure {
            Row row = next.orElseThrow();
            next = readNext();
            return row;
        }

        private Optional<Row> readNext() throws JobFailure {
            Optional<Row> read = decode(rows::next);
            if (read.isPresent() && ++count > limits.rows()) {
                throw limits.tooManyRows();
            }
            return read;
        }

        @Override
        public void close() throws JobFailure {
            decode(() -> {
                rows.close();
                return null;
            });
        }
    }

    private interface Decoding<T> {
        T run() throws IOException;
    }

    private static <T> T decode(Decoding<T> decoding) throws JobFailure {
        try {
            return decoding.run();
        } catch (JobFailure | SoftcallException e) {
            throw e;
        } catch (LinkageError | SnappyError e) {
            throw new SoftcallException(
                    Reason.INTERNAL,
                    "the library for the file's compression cannot be loaded (java.io.tmpdir must be writable): " + e,
                    e);
        } catch (IOException | RuntimeException e) {
            throw JobFailure.badFile("the file cannot be read to its end: %s", e);
        }
    }
}
