package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.FileRange;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.formats.parquet.ParquetColumn.Meaning;
import io.softcall.jobs.formats.parquet.ParquetColumn.Physical;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The metadata of a Parquet file about the columns that jobs read, checked for consistency and against the file's size.
 *
 * @param wrongId why the column {@code id} cannot be used; empty when it can, or does not exist
 */
public record ParquetFooter(List<ParquetColumn> columns, String wrongId, List<Group> groups, long rows) {

    private static final byte[] MAGIC = "PAR1".getBytes(StandardCharsets.US_ASCII);
    private static final int TAIL_BYTES = Integer.BYTES + MAGIC.length;
    private static final int MAX_BYTES = 16 << 20;

    /**
     * A row group: some rows, stored column by column.
     *
     * @param chunks one for each column, in their order
     */
    record Group(long rows, List<Chunk> chunks) {}

    /**
     * The values of a column in a row group: bytes [{@code from}, {@code to}) of the file.
     *
     * @param unpackedBytes the uncompressed size that the file claims
     */
    record Chunk(ParquetCodec codec, long from, long to, long unpackedBytes) {}

    /** @throws JobFailure when the file is not Parquet, contradicts itself, or has no column for a text */
    public static ParquetFooter read(FileRange file) throws IOException {
        long size = file.bytes();
        if (size < MAGIC.length + TAIL_BYTES || !ByteBuffer.wrap(MAGIC).equals(file.read(0, MAGIC.length))) {
            throw JobFailure.badFile("the file is not Parquet: it does not begin with PAR1");
        }
        ByteBuffer tail = file.read(size - TAIL_BYTES, TAIL_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        int length = tail.getInt();
        if (!ByteBuffer.wrap(MAGIC).equals(tail)) {
            throw JobFailure.badFile("the file is not Parquet, or is truncated: it does not end with PAR1");
        }
        if (length <= 0 || length > MAX_BYTES || length > size - MAGIC.length - TAIL_BYTES) {
            throw JobFailure.badFile(
                    "the file is not valid Parquet: its footer claims %d bytes of %d, at most %d are accepted",
                    length, size, MAX_BYTES);
        }
        long end = size - TAIL_BYTES - length;
        return new Reader(new CompactProtocol(file.read(end, length)), end).read();
    }

    /** Returns the uncompressed bytes of these columns, as the file claims. */
    public long unpackedBytes() {
        return groups.stream()
                .flatMap(group -> group.chunks().stream())
                .mapToLong(Chunk::unpackedBytes)
                .reduce(0, (a, b) -> a + b < 0 ? Long.MAX_VALUE : a + b);
    }

    /** Reads a footer. The numbers of fields are those of Parquet's {@code parquet.thrift}. */
    private static final class Reader {

        private final CompactProtocol in;
        /** Position in the file at which the values of all columns end. */
        private final long end;

        private long version;
        private long rows = -1;
        private int leaves;
        private final List<ParquetColumn> columns = new ArrayList<>();
        private String wrongId = "";
        /** For each open group of the schema, the number of elements still to come; the innermost group is last. */
        private final Deque<Long> open = new ArrayDeque<>();

        private boolean hasSchema;
        private final List<Group> groups = new ArrayList<>();
        private boolean hasGroups;

        Reader(CompactProtocol in, long end) {
            this.in = in;
            this.end = end;
        }

        public ParquetFooter read() throws JobFailure {
            in.struct((id, type) -> {
                switch (id) {
                    case 1 -> version = in.integer(type);
                    case 2 -> schema(type);
                    case 3 -> rows = in.count(type);
                    case 4 -> groups(type);
                    case 8 -> throw JobFailure.badFile("the file is encrypted, which is not supported");
                    default -> {
                        return false;
                    }
                }
                return true;
            });
            require(version > 0 && hasSchema && open.isEmpty() && rows >= 0 && hasGroups, "its footer lacks a field");
            long sum = 0;
            for (Group group : groups) {
                sum += group.rows();
                require(sum >= 0, "its row groups claim more than 2^63 rows");
            }
            require(sum == rows, "it claims %d rows, and its row groups %d".formatted(rows, sum));
            return new ParquetFooter(List.copyOf(columns), wrongId, List.copyOf(groups), rows);
        }

        private void schema(int type) throws JobFailure {
            require(!hasSchema, "it has two schemas");
            in.list(type, element -> element(new Element(), element));
            hasSchema = true;
            List<String> names = columns.stream().map(ParquetColumn::name).toList();
            if (!names.contains("text") && !(names.contains("text1") && names.contains("text2"))) {
                throw JobFailure.badFile(
                        "the file has %d columns, expected one called text, or text1 and text2", leaves);
            }
            require(names.stream().distinct().count() == names.size(), "it names a column twice");
        }

        /** The fields of a schema element, collected while it is read. */
        private static final class Element {
            private int type = -1;
            private int length;
            private int repetition;
            private String name = "";
            private long children;
            private int converted = -1;
            private int scale;
            private Meaning meaning;
        }

        private void element(Element element, int type) throws JobFailure {
            in.struct(type, (id, inner) -> {
                switch (id) {
                    case 1 -> element.type = (int) in.integer(inner);
                    case 2 -> element.length = (int) in.integer(inner);
                    case 3 -> element.repetition = (int) in.integer(inner);
                    case 4 -> element.name = in.text(inner);
                    case 5 -> element.children = in.count(inner);
                    case 6 -> element.converted = (int) in.integer(inner);
                    case 7 -> element.scale = (int) in.integer(inner);
                    case 10 -> in.struct(inner, (kind, value) -> logical(element, kind, value));
                    default -> {
                        return false;
                    }
                }
                return true;
            });
            if (open.isEmpty()) {
                require(leaves == 0 && element.children > 0, "its schema has no root");
                open.addLast(element.children);
                return;
            }
            boolean top = open.size() == 1;
            boolean leaf = element.type >= 0;
            require(leaf ? element.children == 0 : element.children > 0, "its schema has an empty group");
            if (top && (element.name.equals("id") || Row.Fields.TEXTS.contains(element.name))) {
                ours(element, leaf && element.repetition != 2);
            }
            leaves += leaf ? 1 : 0;
            open.addLast(open.removeLast() - 1);
            if (!leaf) {
                open.addLast(element.children);
            }
            while (!open.isEmpty() && open.getLast() == 0) {
                open.removeLast();
            }
        }

        private void ours(Element element, boolean single) throws JobFailure {
            require(element.type < Physical.values().length, "a column has the type %d".formatted(element.type));
            if (element.name.equals("id") && !single) {
                wrongId = "id is a list or an object, expected a text or a number";
                return;
            }
            if (!single) {
                throw JobFailure.badFile("column %s holds lists or objects, expected texts", element.name);
            }
            Physical physical = Physical.values()[element.type];
            boolean fixed = physical == Physical.FIXED_LEN_BYTE_ARRAY;
            require(!fixed || element.length > 0, "a column has values of %d bytes".formatted(element.length));
            ParquetColumn column = new ParquetColumn(
                    element.name,
                    leaves,
                    physical,
                    fixed ? element.length : physical.width,
                    element.repetition == 1,
                    element.meaning != null ? element.meaning : converted(element));
            if (column.name().equals("id") && column.whyNoId().isPresent()) {
                wrongId = column.whyNoId().get();
            } else if (!column.name().equals("id") && !column.isText()) {
                throw JobFailure.badFile("column %s is of type %s, expected texts", column.name(), physical);
            } else {
                columns.add(column);
            }
        }

        private boolean logical(Element element, int kind, int type) throws JobFailure {
            switch (kind) {
                case 1, 4, 12 -> element.meaning = new Meaning.Text();
                case 5 -> {
                    int[] scale = new int[1];
                    in.struct(type, (id, inner) -> {
                        if (id == 1) {
                            scale[0] = (int) in.integer(inner);
                        }
                        return id == 1;
                    });
                    element.meaning = new Meaning.Decimal(scale[0]);
                    return true;
                }
                case 6 -> element.meaning = new Meaning.Date();
                case 8 -> {
                    element.meaning = timestamp(type);
                    return true;
                }
                case 10 -> {
                    boolean[] signed = {true};
                    in.struct(type, (id, inner) -> {
                        if (id == 2) {
                            signed[0] = in.bool(inner);
                        }
                        return id == 2;
                    });
                    element.meaning = signed[0] ? new Meaning.Plain() : new Meaning.Unsigned();
                    return true;
                }
                case 14 -> element.meaning = new Meaning.Uuid();
                default -> element.meaning = new Meaning.Other(LOGICAL.getOrDefault(kind, "unknown"));
            }
            return false;
        }

        private static final Map<Integer, String> LOGICAL =
                Map.of(2, "MAP", 3, "LIST", 7, "TIME", 11, "UNKNOWN", 13, "BSON", 15, "FLOAT16", 16, "VARIANT");

        private Meaning timestamp(int type) throws JobFailure {
            boolean[] utc = new boolean[1];
            int[] unit = new int[1];
            in.struct(type, (id, inner) -> {
                switch (id) {
                    case 1 -> utc[0] = in.bool(inner);
                    case 2 ->
                        in.struct(inner, (kind, empty) -> {
                            unit[0] = kind;
                            return false;
                        });
                    default -> {
                        return false;
                    }
                }
                return true;
            });
            return switch (unit[0]) {
                case 1 -> new Meaning.Timestamp(TimeUnit.MILLISECONDS, utc[0]);
                case 2 -> new Meaning.Timestamp(TimeUnit.MICROSECONDS, utc[0]);
                case 3 -> new Meaning.Timestamp(TimeUnit.NANOSECONDS, utc[0]);
                default -> new Meaning.Other("TIMESTAMP");
            };
        }

        private static Meaning converted(Element element) {
            return switch (element.converted) {
                case -1, 15, 16, 17, 18 -> new Meaning.Plain();
                case 0, 4, 19 -> new Meaning.Text();
                case 5 -> new Meaning.Decimal(element.scale);
                case 6 -> new Meaning.Date();
                case 9 -> new Meaning.Timestamp(TimeUnit.MILLISECONDS, true);
                case 10 -> new Meaning.Timestamp(TimeUnit.MICROSECONDS, true);
                case 11, 12, 13, 14 -> new Meaning.Unsigned();
                case 7, 8 -> new Meaning.Other("TIME");
                case 20 -> new Meaning.Other("BSON");
                case 21 -> new Meaning.Other("INTERVAL");
                default -> new Meaning.Other("unknown");
            };
        }

        private void groups(int type) throws JobFailure {
            require(hasSchema && !hasGroups, "its row groups come before its schema, or twice");
            in.list(type, element -> groups.add(group(element)));
            hasGroups = true;
        }

        /** The fields of a column chunk, collected while it is read. */
        private static final class Values {
            private boolean elsewhere;
            private int type = -1;
            private final List<String> path = new ArrayList<>();
            private int codec = -1;
            private long count = -1;
            private long unpacked = -1;
            private long bytes = -1;
            private long data = -1;
            private long dictionary;
        }

        private Group group(int type) throws JobFailure {
            long[] groupRows = {-1};
            int[] leaf = new int[1];
            Map<Integer, Values> found = new HashMap<>();
            in.struct(type, (id, inner) -> {
                switch (id) {
                    case 1 ->
                        in.list(inner, element -> {
                            boolean ours = columns.stream().anyMatch(column -> column.leaf() == leaf[0]);
                            if (ours) {
                                found.put(leaf[0], values(element));
                            } else {
                                in.struct(element, (none, skipped) -> false);
                            }
                            leaf[0]++;
                        });
                    case 3 -> groupRows[0] = in.count(inner);
                    default -> {
                        return false;
                    }
                }
                return true;
            });
            require(groupRows[0] >= 0 && leaf[0] == leaves, "a row group lacks its rows or a column");
            List<Chunk> chunks = new ArrayList<>(columns.size());
            for (ParquetColumn column : columns) {
                chunks.add(chunk(column, found.get(column.leaf()), groupRows[0]));
            }
            return new Group(groupRows[0], chunks);
        }

        private Values values(int type) throws JobFailure {
            Values values = new Values();
            in.struct(type, (id, inner) -> {
                switch (id) {
                    case 1 -> values.elsewhere = !in.text(inner).isEmpty();
                    case 3 -> in.struct(inner, (field, value) -> metadata(values, field, value));
                    case 8 -> values.elsewhere = true;
                    default -> {
                        return false;
                    }
                }
                return id != 8;
            });
            return values;
        }

        private boolean metadata(Values values, int id, int type) throws JobFailure {
            switch (id) {
                case 1 -> values.type = (int) in.integer(type);
                case 3 -> in.list(type, element -> values.path.add(in.text(element)));
                case 4 -> values.codec = (int) in.integer(type);
                case 5 -> values.count = in.count(type);
                case 6 -> values.unpacked = in.count(type);
                case 7 -> values.bytes = in.count(type);
                case 9 -> values.data = in.count(type);
                case 11 -> values.dictionary = in.count(type);
                default -> {
                    return false;
                }
            }
            return true;
        }

        private Chunk chunk(ParquetColumn column, Values values, long groupRows) throws JobFailure {
            String name = column.name();
            require(!values.elsewhere, "column %s is encrypted, or is in another file".formatted(name));
            require(
                    values.type == column.physical().ordinal() && values.path.equals(List.of(name)),
                    "a row group has another column in place of %s".formatted(name));
            require(
                    values.count == groupRows,
                    "a row group claims %d rows, and %d values of %s".formatted(groupRows, values.count, name));
            // A dictionary, if there is one, comes before the values.
            long from = values.dictionary > 0 ? values.dictionary : values.data;
            require(
                    values.unpacked >= 0
                            && values.bytes >= 0
                            && from >= MAGIC.length
                            && from <= values.data
                            && values.bytes <= end - from
                            && values.data - from <= values.bytes
                            && (groupRows == 0 || values.bytes > 0),
                    "column %s claims %d bytes from byte %d on, with data from byte %d, of %d in all"
                            .formatted(name, values.bytes, from, values.data, end));
            return new Chunk(ParquetCodec.of(name, values.codec), from, from + values.bytes, values.unpacked);
        }

        private static void require(boolean condition, String problem) throws JobFailure {
            if (!condition) {
                throw JobFailure.badFile("the file is not valid Parquet: %s", problem);
            }
        }
    }
}
