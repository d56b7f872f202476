package io.softcall.jobs.formats.parquet;

import com.github.luben.zstd.Zstd;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalLong;

/** A Parquet file with one column of texts, which may make false claims about itself. */
public final class ParquetBytes {

    private final List<String> texts;
    private String name = "text";
    private OptionalLong rows = OptionalLong.empty();
    private OptionalLong groupRows = OptionalLong.empty();
    private OptionalLong values = OptionalLong.empty();
    private OptionalLong bytes = OptionalLong.empty();
    private OptionalLong data = OptionalLong.empty();
    private OptionalLong dictionary = OptionalLong.empty();
    private OptionalLong unpacked = OptionalLong.empty();
    private OptionalLong packed = OptionalLong.empty();
    private OptionalLong pageValues = OptionalLong.empty();
    private OptionalLong textLength = OptionalLong.empty();
    private OptionalLong footerLength = OptionalLong.empty();
    private OptionalLong levelBytes = OptionalLong.empty();
    private long codec;
    private long encoding;

    private ParquetBytes(List<String> texts) {
        this.texts = texts;
    }

    public static ParquetBytes of(String... texts) {
        return new ParquetBytes(List.of(texts));
    }

    ParquetBytes name(String name) {
        this.name = name;
        return this;
    }

    /**
     * Sets the number of rows that the file claims. Its row group claims the real number, unless {@link #groupRows} sets it.
     */
    ParquetBytes rows(long rows) {
        this.rows = OptionalLong.of(rows);
        return this;
    }

    /** Sets the number of rows that the file, its row group and its column claim. */
    public ParquetBytes groupRows(long rows) {
        this.rows = OptionalLong.of(rows);
        this.groupRows = OptionalLong.of(rows);
        this.values = OptionalLong.of(rows);
        return this;
    }

    ParquetBytes values(long values) {
        this.values = OptionalLong.of(values);
        return this;
    }

    ParquetBytes bytes(long bytes) {
        this.bytes = OptionalLong.of(bytes);
        return this;
    }

    ParquetBytes data(long offset) {
        this.data = OptionalLong.of(offset);
        return this;
    }

    ParquetBytes dictionary(long offset) {
        this.dictionary = OptionalLong.of(offset);
        return this;
    }

    ParquetBytes unpacked(int bytes) {
        this.unpacked = OptionalLong.of(bytes);
        return this;
    }

    ParquetBytes packed(int bytes) {
        this.packed = OptionalLong.of(bytes);
        return this;
    }

    ParquetBytes pageValues(int values) {
        this.pageValues = OptionalLong.of(values);
        return this;
    }

    ParquetBytes textLength(int length) {
        this.textLength = OptionalLong.of(length);
        return this;
    }

    ParquetBytes footerLength(int length) {
        this.footerLength = OptionalLong.of(length);
        return this;
    }

    /** Sets the number of bytes that the levels of a page of version 2 claim. */
    ParquetBytes levelBytes(int bytes) {
        this.levelBytes = OptionalLong.of(bytes);
        return this;
    }

    ParquetBytes codec(int codec) {
        this.codec = codec;
        return this;
    }

    ParquetBytes encoding(int encoding) {
        this.encoding = encoding;
        return this;
    }

    public byte[] write() {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (String text : texts) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            body.writeBytes(littleEndian((int) textLength.orElse(utf8.length)));
            body.writeBytes(utf8);
        }
        byte[] page = levelBytes.isPresent()
                ? page(3, body.toByteArray(), pageValues.orElse(texts.size()), 8)
                : page(0, body.toByteArray(), pageValues.orElse(texts.size()), 5);
        return file(List.of(page), texts.size());
    }

    /** Writes one text into a dictionary, and a run of references to it. */
    static byte[] repeated(String text, int rows) {
        ParquetBytes file = of(text);
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream dictionary = new ByteArrayOutputStream();
        dictionary.writeBytes(littleEndian(utf8.length));
        dictionary.writeBytes(utf8);
        byte[] first = file.page(2, dictionary.toByteArray(), 1, 7);
        Thrift run = new Thrift();
        run.out.write(1);
        run.unsigned((long) rows << 1);
        run.out.write(0);
        file.encoding = 8;
        byte[] second = file.page(0, run.out.toByteArray(), rows, 5);
        return file.file(List.of(first, second), rows);
    }

    /** Writes one row per page. Each page unpacks to that many bytes, of which only a text of one byte is read. */
    static byte[] padded(int rows, int pageBytes) {
        ParquetBytes file = of("a").codec(6).unpacked(pageBytes);
        byte[] page = Arrays.copyOf(new byte[] {1, 0, 0, 0, 'a'}, pageBytes);
        byte[] packed = file.page(0, Zstd.compress(page), 1, 5);
        return file.file(Collections.nCopies(rows, packed), rows);
    }

    private byte[] page(int type, byte[] body, long count, int field) {
        Thrift header = new Thrift();
        header.integer(1, type);
        header.integer(2, unpacked.orElse(body.length));
        header.integer(3, packed.orElse(body.length));
        header.begin(field);
        header.integer(1, count);
        if (field == 8) {
            header.integer(2, 0);
            header.integer(3, count);
            header.integer(4, encoding);
            header.integer(5, levelBytes.orElse(0));
            header.integer(6, 0);
        } else {
            header.integer(2, encoding);
            header.integer(3, 3);
            header.integer(4, 3);
        }
        header.end();
        header.end();
        header.out.writeBytes(body);
        return header.out.toByteArray();
    }

    private byte[] file(List<byte[]> pages, long count) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes("PAR1".getBytes(StandardCharsets.US_ASCII));
        pages.forEach(out::writeBytes);
        byte[] footer = footer(out.size() - 4, count);
        out.writeBytes(footer);
        out.writeBytes(littleEndian((int) footerLength.orElse(footer.length)));
        out.writeBytes("PAR1".getBytes(StandardCharsets.US_ASCII));
        return out.toByteArray();
    }

    private byte[] footer(long chunkBytes, long count) {
        Thrift footer = new Thrift();
        footer.integer(1, 2);
        footer.list(2, 2);
        footer.text(4, "schema");
        footer.integer(5, 1);
        footer.end();
        footer.element();
        footer.integer(1, 6);
        footer.integer(3, 0);
        footer.text(4, name);
        footer.integer(6, 0);
        footer.end();
        footer.integer(3, rows.orElse(count));
        footer.list(4, 1);
        footer.list(1, 1);
        footer.integer(2, 4);
        footer.begin(3);
        footer.integer(1, 6);
        footer.texts(3, name);
        footer.integer(4, codec);
        footer.integer(5, values.orElse(count));
        footer.integer(6, chunkBytes);
        footer.integer(7, bytes.orElse(chunkBytes));
        footer.integer(9, data.orElse(4));
        dictionary.ifPresent(offset -> footer.integer(11, offset));
        footer.end();
        footer.end();
        footer.integer(2, chunkBytes);
        footer.integer(3, groupRows.orElse(count));
        footer.end();
        footer.end();
        return footer.out.toByteArray();
    }

    private static byte[] littleEndian(int value) {
        return ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array();
    }

    /** Writes Thrift's compact protocol. */
    private static final class Thrift {

        private final ByteArrayOutputStream out = new ByteArrayOutputStream();
        private final List<Integer> outer = new ArrayList<>();
        private int last;

        private void field(int id, int type) {
            out.write(id - last << 4 | type);
            last = id;
        }

        void unsigned(long value) {
            long rest = value;
            for (; (rest & ~0x7fL) != 0; rest >>>= 7) {
                out.write((int) (rest & 0x7f | 0x80));
            }
            out.write((int) rest);
        }

        void integer(int id, long value) {
            field(id, 6);
            unsigned(value << 1 ^ value >> 63);
        }

        void text(int id, String text) {
            field(id, 8);
            text(text);
        }

        private void text(String text) {
            unsigned(text.length());
            out.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
        }

        void texts(int id, String text) {
            field(id, 9);
            out.write(1 << 4 | 8);
            text(text);
        }

        void begin(int id) {
            field(id, 12);
            element();
        }

        /** Begins a list of structs, and its first struct. */
        void list(int id, int size) {
            field(id, 9);
            out.write(size << 4 | 12);
            element();
        }

        void element() {
            outer.add(last);
            last = 0;
        }

        void end() {
            out.write(0);
            last = outer.isEmpty() ? 0 : outer.removeLast();
        }
    }
}
