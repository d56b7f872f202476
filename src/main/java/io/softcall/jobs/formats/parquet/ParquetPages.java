package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.FileRange;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.formats.parquet.ParquetColumn.Physical;
import io.softcall.jobs.formats.parquet.ParquetFooter.Chunk;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.zip.CRC32;

/** The values of a column in a row group, row by row. At most one page and one dictionary are in memory. */
final class ParquetPages {

    /** Maximum size of the open pages and dictionaries of all columns together. */
    private static final int MAX_OPEN_BYTES = 64 << 20;

    private static final int WINDOW_BYTES = 1 << 16;
    /** Maximum size of a page's header, which also contains statistics. */
    private static final int MAX_HEADER_BYTES = 1 << 20;

    private static final int DATA = 0;
    private static final int DICTIONARY = 2;
    private static final int DATA_V2 = 3;

    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    /** Counts the memory of the pages of all columns in a group, and the bytes decompressed so far. */
    public static final class Memory {

        private final Limits limits;
        private long bytes;
        private long unpacked;

        Memory(Limits limits) {
            this.limits = limits;
        }

        void nextGroup() {
            bytes = 0;
        }

        /** @throws JobFailure when the pages decompress to more than a file may have, whatever the footer claims */
        private void unpack(long more) throws JobFailure {
            unpacked += more;
            if (unpacked > limits.bytes()) {
                throw limits.tooManyBytes();
            }
        }

        /** @return whether there is room for a page and its compressed bytes, once another page is released */
        private boolean hasRoom(long packed, long unpacked, long before) {
            return packed >= 0 && unpacked >= 0 && packed <= MAX_OPEN_BYTES - (bytes - before) - unpacked;
        }
    }

    private final FileRange file;
    private final ParquetColumn column;
    private final Chunk chunk;
    private final Memory memory;
    /** Rows of the group that are in no page opened so far. */
    private long rowsLeft;

    private long position;
    private ByteBuffer window = NOTHING;
    private long windowFrom;

    private Optional<ParquetValues.Dictionary> dictionary = Optional.empty();
    private long inPage;
    private long pageBytes;
    private Optional<ParquetRuns> present = Optional.empty();
    private ParquetValues values = () -> {
        throw new IllegalStateException("no page is open");
    };

    /**
     * @param rows number of rows in the group
     * @param skipped number of rows to skip
     */
    ParquetPages(FileRange file, ParquetColumn column, Chunk chunk, Memory memory, long rows, long skipped)
            throws IOException {
        this.file = file;
        this.column = column;
        this.chunk = chunk;
        this.memory = memory;
        this.rowsLeft = rows;
        this.position = chunk.from();
        long left = skipped;
        while (left > 0) {
            left -= open(left);
            for (; left > 0 && inPage > 0; left--) {
                next();
            }
        }
    }

    /**
     * Returns the value of the next row, which must exist; empty when the row has none. The buffer is valid until the
     * next call.
     */
    Optional<ByteBuffer> next() throws IOException {
        while (inPage == 0) {
            open(0);
        }
        inPage--;
        try {
            if (present.isPresent() && present.get().next() == 0) {
                return Optional.empty();
            }
            ByteBuffer value = values.next();
            require(column.width() == 0 || value.remaining() == column.width(), "a value has the wrong width");
            return Optional.of(value);
        } catch (BufferUnderflowException e) {
            throw malformed("a page has too few values");
        }
    }

    /** The header of a page. */
    private static final class Header {
        private int type = -1;
        private long unpacked = -1;
        private long packed = -1;
        private Optional<Integer> checksum = Optional.empty();
        private long values = -1;
        private int encoding = -1;
        private long definitionBytes;
        private long repetitionBytes;
        private boolean isPacked = true;
        private int bytes;
    }

    /**
     * Opens the next page.
     *
     * @param skipped number of rows to skip; a page that is skipped completely is not even fetched
     * @return the number of rows in a page that was skipped completely; otherwise 0
     */
    private long open(long skipped) throws IOException {
        Header header = header();
        long body = position + header.bytes;
        require(
                header.packed >= 0 && header.packed <= chunk.to() - body && header.unpacked >= 0,
                "a page claims %d bytes, and %d unpacked, where %d are left"
                        .formatted(header.packed, header.unpacked, chunk.to() - body));
        position = body + header.packed;
        boolean isData = header.type == DATA || header.type == DATA_V2;
        if (isData) {
            require(
                    header.values >= 0 && header.values <= rowsLeft,
                    "pages claim more values than the row group has rows");
            rowsLeft -= header.values;
            if (header.values <= skipped) {
                return header.values;
            }
        }
        try {
            if (isData) {
                hold(header, pageBytes, header.unpacked);
                inPage = header.values;
                pageBytes = header.unpacked;
                openData(header, body(header, body));
            } else if (header.type == DICTIONARY) {
                require(dictionary.isEmpty() && header.values >= 0, "there are two dictionaries");
                hold(
                        header,
                        0,
                        header.unpacked + Math.multiplyExact(Integer.BYTES, Math.min(header.values, header.unpacked)));
                dictionary = Optional.of(new ParquetValues.Dictionary(
                        unpacked(body(header, body), header.unpacked), column.width(), header.values));
            }
        } catch (BufferUnderflowException e) {
            throw malformed("a page ends too early");
        }
        if (window.capacity() > WINDOW_BYTES) {
            window = NOTHING;
        }
        return 0;
    }

    private void hold(Header header, long before, long now) throws JobFailure {
        if (!memory.hasRoom(header.packed, now, before)) {
            throw JobFailure.badFile(
                    "the file has a page of %d bytes, %d unpacked: the open pages of all columns together may have %d bytes",
                    header.packed, header.unpacked, MAX_OPEN_BYTES);
        }
        memory.unpack(header.unpacked);
        memory.bytes += now - before;
    }

    private ByteBuffer unpacked(ByteBuffer packed, long size) throws IOException {
        return ByteBuffer.wrap(chunk.codec().unpack(packed, (int) size)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Opens a page of values. */
    private void openData(Header header, ByteBuffer body) throws IOException {
        ByteBuffer levels;
        ByteBuffer data;
        if (header.type == DATA) {
            data = unpacked(body, header.unpacked);
            levels = take(data, column.optional() ? data.getInt() : 0);
        } else {
            take(body, header.repetitionBytes);
            ByteBuffer before = take(body, header.definitionBytes);
            levels = ByteBuffer.allocate(before.remaining()).put(before).flip();
            long size = header.unpacked - header.definitionBytes - header.repetitionBytes;
            require(size >= 0, "a page claims more bytes of levels than it has");
            ParquetCodec codec = header.isPacked ? chunk.codec() : ParquetCodec.UNCOMPRESSED;
            data = ByteBuffer.wrap(codec.unpack(body.slice(), (int) size));
        }
        present = column.optional() ? Optional.of(new ParquetRuns(levels, 1)) : Optional.empty();
        values = data.hasRemaining()
                ? values(header, data)
                : () -> {
                    throw malformed("a page has too few values");
                };
    }

    /** Returns a reader for the page's encoding, by Parquet's numbers of encodings. */
    private ParquetValues values(Header header, ByteBuffer data) throws JobFailure {
        Physical type = column.physical();
        boolean fits =
                switch (header.encoding) {
                    case 0, 2, 8 -> true;
                    case 5 -> type == Physical.INT32 || type == Physical.INT64;
                    case 6 -> type == Physical.BYTE_ARRAY;
                    case 7 -> type == Physical.BYTE_ARRAY || type == Physical.FIXED_LEN_BYTE_ARRAY;
                    case 9 -> type != Physical.BYTE_ARRAY;
                    default -> false;
                };
        require(fits, "values of type %s are in the encoding %d".formatted(type, header.encoding));
        return switch (header.encoding) {
            case 0 -> ParquetValues.plain(data, column.width());
            case 5 -> ParquetValues.differences(data, column.width(), header.values);
            case 6 -> ParquetValues.lengthsFirst(data, header.values);
            case 7 -> ParquetValues.prefixesFirst(data, header.values);
            case 9 -> ParquetValues.split(data, column.width());
            default ->
                dictionary
                        .orElseThrow(() -> malformed("the dictionary of a page is missing"))
                        .at(data);
        };
    }

    private ByteBuffer take(ByteBuffer from, long length) throws JobFailure {
        require(length >= 0 && length <= from.remaining(), "a page ends too early");
        ByteBuffer taken = from.slice(from.position(), (int) length);
        from.position(from.position() + (int) length);
        return taken;
    }

    private ByteBuffer body(Header header, long from) throws IOException {
        ByteBuffer body = bytes(from, (int) header.packed, 0);
        if (header.checksum.isPresent()) {
            CRC32 checksum = new CRC32();
            checksum.update(body.duplicate());
            require((int) checksum.getValue() == header.checksum.get(), "a page does not match its checksum");
        }
        return body;
    }

    private Header header() throws IOException {
        long left = chunk.to() - position;
        require(left > 0, "there are fewer values than rows");
        ByteBuffer some = bytes(position, 1, WINDOW_BYTES);
        try {
            return header(some);
        } catch (JobFailure e) {
            if (some.remaining() >= Math.min(left, MAX_HEADER_BYTES)) {
                throw e;
            }
            return header(bytes(position, (int) Math.min(left, MAX_HEADER_BYTES), 0));
        }
    }

    private static Header header(ByteBuffer bytes) throws JobFailure {
        Header header = new Header();
        CompactProtocol in = new CompactProtocol(bytes);
        in.struct((id, type) -> {
            switch (id) {
                case 1 -> header.type = (int) in.integer(type);
                case 2 -> header.unpacked = in.integer(type);
                case 3 -> header.packed = in.integer(type);
                case 4 -> header.checksum = Optional.of((int) in.integer(type));
                case 5, 7 -> in.struct(type, (field, inner) -> values(in, header, field, inner, 2));
                case 8 ->
                    in.struct(type, (field, inner) -> {
                        switch (field) {
                            case 5 -> header.definitionBytes = in.integer(inner);
                            case 6 -> header.repetitionBytes = in.integer(inner);
                            case 7 -> header.isPacked = in.bool(inner);
                            default -> {
                                return values(in, header, field, inner, 4);
                            }
                        }
                        return true;
                    });
                default -> {
                    return false;
                }
            }
            return true;
        });
        header.bytes = in.position();
        return header;
    }

    private static boolean values(CompactProtocol in, Header header, int field, int type, int encoding)
            throws JobFailure {
        if (field == 1) {
            header.values = in.integer(type);
        } else if (field == encoding) {
            header.encoding = (int) in.integer(type);
        }
        return field == 1 || field == encoding;
    }

    /**
     * Returns bytes of the column. With {@code more}, fetches that many if possible, and returns all that are in
     * memory.
     */
    private ByteBuffer bytes(long from, int length, int more) throws IOException {
        long end = windowFrom + window.capacity();
        if (from < windowFrom || from + length > end) {
            window = file.read(from, (int) Math.min(chunk.to() - from, Math.max(length, more)));
            windowFrom = from;
            end = from + window.capacity();
        }
        int at = (int) (from - windowFrom);
        return window.slice(at, more > 0 ? (int) (end - from) : length);
    }

    private void require(boolean condition, String problem) throws JobFailure {
        if (!condition) {
            throw malformed(problem);
        }
    }

    private JobFailure malformed(String problem) {
        return JobFailure.badFile("the file is not valid Parquet: column %s: %s", column.name(), problem);
    }
}
