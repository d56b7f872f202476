package io.softcall.jobs;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.hardwood.HardwoodContext;
import dev.hardwood.InputFile;
import dev.hardwood.metadata.PhysicalType;
import dev.hardwood.metadata.RowGroup;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.schema.ColumnProjection;
import dev.hardwood.schema.ColumnSchema;
import io.softcall.SoftcallException;
import io.softcall.store.Bucket;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Rows of a Parquet file: the columns {@code id}, {@code task}, {@code text}, {@code text1}, {@code text2} of it. */
final class Parquet implements Rows {

    private static final List<String> TEXTS = List.of("task", "text", "text1", "text2");

    private final HardwoodContext context;
    private final ParquetFileReader file;
    private final RowReader rows;
    private final List<ColumnSchema> columns;

    /**
     * Rows [{@code from}, {@code to}) of the file.
     *
     * @throws JobFailure when it is not Parquet, or has no column for a text
     */
    Parquet(Bucket bucket, Input input, Plan.Range range) throws IOException {
        this.context = HardwoodContext.create(1);
        try {
            this.file = open(bucket, input, context);
            this.columns = columns(file);
            this.rows = decoding(() -> file.buildRowReader()
                    .projection(ColumnProjection.columns(
                            columns.stream().map(ColumnSchema::name).toArray(String[]::new)))
                    .skip(range.from())
                    .head(range.to() - range.from())
                    .build());
        } catch (IOException | RuntimeException e) {
            context.close();
            throw e;
        }
    }

    /** Runs of {@code partRows} rows, none of which crosses a row group: of any group, few rows are decoded in vain. */
    static List<Plan.Range> split(Bucket bucket, Input input, int partRows) throws IOException {
        List<Plan.Range> parts = new ArrayList<>();
        try (HardwoodContext context = HardwoodContext.create(1);
                ParquetFileReader file = open(bucket, input, context)) {
            columns(file);
            List<RowGroup> groups = file.getFileMetaData().rowGroups();
            long rows = file.getFileMetaData().numRows();
            long size = Math.max(partRows, rows / Math.max(1, Plan.MAX_PARTS - groups.size()) + 1);
            long start = 0;
            for (RowGroup group : groups) {
                long end = start + group.numRows();
                for (long from = start; from < end; from += size) {
                    parts.add(new Plan.Range(from, Math.min(from + size, end)));
                }
                start = end;
            }
        }
        return parts;
    }

    private static ParquetFileReader open(Bucket bucket, Input input, HardwoodContext context) throws IOException {
        return decoding(() -> ParquetFileReader.open(new ObjectFile(bucket, input), context));
    }

    private static List<ColumnSchema> columns(ParquetFileReader file) throws JobFailure {
        List<ColumnSchema> columns = new ArrayList<>();
        List<String> names = new ArrayList<>();
        for (ColumnSchema column : file.getFileSchema().getColumns()) {
            boolean topLevel = column.fieldPath().elements().size() == 1 && column.maxRepetitionLevel() == 0;
            if (topLevel && (TEXTS.contains(column.name()) || column.name().equals("id"))) {
                if (!column.name().equals("id") && column.type() != PhysicalType.BYTE_ARRAY) {
                    throw JobFailure.badFile("column %s is of type %s, expected texts", column.name(), column.type());
                }
                columns.add(column);
                names.add(column.name());
            }
        }
        if (!names.contains("text") && !(names.contains("text1") && names.contains("text2"))) {
            throw JobFailure.badFile("the file has the columns %s of ours, expected text, or text1 and text2", names);
        }
        return columns;
    }

    @Override
    public Optional<Row> next() throws IOException {
        return decoding(() -> {
            if (!rows.hasNext()) {
                return Optional.empty();
            }
            rows.next();
            ObjectNode row = JsonNodeFactory.instance.objectNode();
            for (ColumnSchema column : columns) {
                if (!rows.isNull(column.name())) {
                    put(row, column);
                }
            }
            return Optional.of(Row.of(row));
        });
    }

    private void put(ObjectNode row, ColumnSchema column) {
        String name = column.name();
        if (column.type() == PhysicalType.BYTE_ARRAY) {
            row.put(name, rows.getString(name));
            return;
        }
        switch (rows.getValue(name)) {
            case Integer number -> row.put(name, number);
            case Long number -> row.put(name, number);
            case Float number -> row.put(name, number);
            case Double number -> row.put(name, number);
            case Object other -> row.put(name, other.toString());
        }
    }

    private interface Decoding<T> {
        T run() throws IOException;
    }

    /** Hardwood reads in threads of its own: what our reading threw may come back inside something else. */
    private static <T> T decoding(Decoding<T> decoding) throws IOException {
        try {
            return decoding.run();
        } catch (IOException | RuntimeException e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (cause instanceof SoftcallException known) {
                    throw known.again();
                }
                if (cause instanceof JobFailure known) {
                    throw new JobFailure(known.code(), known.getMessage());
                }
            }
            throw JobFailure.badFile("the file is not valid Parquet: %s", e);
        }
    }

    @Override
    public void close() throws IOException {
        try (context) {
            rows.close();
            file.close();
        }
    }

    /** One version of an object, for random access. */
    private record ObjectFile(Bucket bucket, Input input) implements InputFile {

        @Override
        public void open() {}

        @Override
        public ByteBuffer readRange(long from, int length) throws IOException {
            ByteBuffer bytes = ByteBuffer.allocate(length);
            while (bytes.hasRemaining()) {
                int wanted = Math.min(bytes.remaining(), ObjectStream.BLOCK_BYTES);
                byte[] block = bucket.read(input.key(), input.etag(), from + bytes.position(), wanted)
                        .orElseThrow(() -> JobFailure.inputGone(input));
                if (block.length == 0) {
                    throw JobFailure.badFile("%s is shorter than %d bytes", input.key(), from + length);
                }
                bytes.put(block);
            }
            return bytes.flip();
        }

        @Override
        public long length() {
            return input.bytes();
        }

        @Override
        public String name() {
            return input.key();
        }

        @Override
        public void close() {}
    }
}
