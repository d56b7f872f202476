package io.softcall.jobs.formats.parquet;

import io.softcall.SoftcallException;
import io.softcall.jobs.files.FileRange;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.Range;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.Rows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The rows of a Parquet file, from its columns {@code id}, {@code task}, {@code text}, {@code text1}, {@code text2}.
 *
 * <p>Softcall has its own reader, because existing ones trust the file's metadata: they reserve memory for as many
 * values as a page claims, decompress thousands of rows at once whatever their size, and read missing values as zeros.
 */
public final class Parquet implements Rows {

    private final FileRange file;
    private final ParquetFooter footer;
    private final Limits limits;
    private final ParquetPages.Memory memory;
    /** The next row, and the row after the last one. */
    private long row;

    private final long end;
    private int group = -1;
    private long groupEnd;
    private List<ParquetPages> pages = List.of();
    private long bytes;

    /** Reads the rows [{@code from}, {@code to}) of the file. */
    public Parquet(FileRange file, ParquetFooter footer, Range range, Limits limits) {
        this.file = file;
        this.footer = footer;
        this.limits = limits;
        this.memory = new ParquetPages.Memory(limits);
        this.row = range.from();
        this.end = range.to();
    }

    /**
     * Splits the rows into ranges of equal length; there are at most {@link Range#MAX_PARTS}, so they may exceed
     * {@code partRows}.
     */
    public static List<Range> split(ParquetFooter footer, int partRows) {
        long size = Math.max(partRows, Math.ceilDiv(footer.rows(), Range.MAX_PARTS));
        List<Range> parts = new ArrayList<>();
        for (long from = 0; from < footer.rows(); from += size) {
            parts.add(new Range(from, Math.min(from + size, footer.rows())));
        }
        return parts;
    }

    @Override
    public Optional<Row> next() throws IOException {
        if (row == end) {
            return Optional.empty();
        }
        while (row >= groupEnd) {
            openGroup();
        }
        row++;
        return Optional.of(read());
    }

    private void openGroup() throws IOException {
        if (++group == footer.groups().size()) {
            throw JobFailure.badFile("the file has %d rows, but its job expects %d", footer.rows(), end);
        }
        ParquetFooter.Group next = footer.groups().get(group);
        long begin = groupEnd;
        groupEnd += next.rows();
        if (row >= groupEnd) {
            return;
        }
        memory.nextGroup();
        pages = new ArrayList<>();
        for (int i = 0; i < footer.columns().size(); i++) {
            pages.add(new ParquetPages(
                    file, footer.columns().get(i), next.chunks().get(i), memory, next.rows(), row - begin));
        }
    }

    private Row read() throws IOException {
        Row.Fields fields = new Row.Fields();
        if (!footer.wrongId().isEmpty()) {
            fields.problem(footer.wrongId());
        }
        long rowBytes = 0;
        for (int i = 0; i < pages.size(); i++) {
            Optional<ByteBuffer> value = pages.get(i).next();
            rowBytes += value.map(ByteBuffer::remaining).orElse(0);
            if (value.isPresent() && rowBytes <= limits.rowBytes()) {
                read(footer.columns().get(i), value.get(), fields);
            }
        }
        if (rowBytes > limits.rowBytes()) {
            fields.problem(
                    "the row has %d bytes, at most %d are accepted (softcall.jobs.row-bytes)",
                    rowBytes, limits.rowBytes());
        }
        bytes += rowBytes;
        if (bytes > limits.bytes()) {
            throw limits.tooManyBytes();
        }
        return fields.row();
    }

    private static void read(ParquetColumn column, ByteBuffer value, Row.Fields fields) {
        try {
            if (column.name().equals("id")) {
                column.readId(value, fields);
            } else {
                fields.text(column.name(), column.text(value));
            }
        } catch (SoftcallException e) {
            fields.problem(e.getMessage());
        }
    }

    @Override
    public void close() {}
}
