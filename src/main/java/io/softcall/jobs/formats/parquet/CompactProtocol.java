package io.softcall.jobs.formats.parquet;

import io.softcall.jobs.files.JobFailure;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Reads Thrift's compact protocol, in which Parquet files store their metadata. Memory is only reserved for bytes that
 * are present, whatever length the data claims. Fields that are not needed are skipped.
 */
final class CompactProtocol {

    private static final int TRUE = 1;
    private static final int FALSE = 2;
    private static final int BYTE = 3;
    private static final int I16 = 4;
    private static final int I64 = 6;
    private static final int DOUBLE = 7;
    private static final int BINARY = 8;
    private static final int LIST = 9;
    private static final int SET = 10;
    private static final int MAP = 11;
    private static final int STRUCT = 12;

    private static final int MAX_DEPTH = 32;
    private static final int MAX_VARINT_BITS = 70;

    private final ByteBuffer in;
    private int depth;

    CompactProtocol(ByteBuffer in) {
        this.in = in.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** A field of a struct. */
    interface Field {

        /**
         * Reads the field's value when it is needed.
         *
         * @return whether the value was read; otherwise it is skipped
         */
        boolean read(int id, int type) throws JobFailure;
    }

    /** An element of a list. */
    interface Element {
        void read(int type) throws JobFailure;
    }

    /** Returns the number of bytes that were read. */
    int position() {
        return in.position();
    }

    /** @throws JobFailure when the bytes are not a complete struct */
    void struct(Field field) throws JobFailure {
        if (++depth > MAX_DEPTH) {
            throw malformed("is nested more than %d deep".formatted(MAX_DEPTH));
        }
        try {
            int id = 0;
            for (int head = in.get() & 0xff; head != 0; head = in.get() & 0xff) {
                id = head >>> 4 == 0 ? (int) zigzag() : id + (head >>> 4);
                int type = head & 0xf;
                if (!field.read(id, type)) {
                    skip(type);
                }
            }
        } catch (BufferUnderflowException e) {
            throw malformed("ends too early");
        }
        depth--;
    }

    void struct(int type, Field field) throws JobFailure {
        require(type == STRUCT);
        struct(field);
    }

    void list(int type, Element element) throws JobFailure {
        require(type == LIST || type == SET);
        int head = in.get() & 0xff;
        long size = head >>> 4 == 0xf ? varint() : head >>> 4;
        // Each element takes at least one byte, so the list cannot be longer than the bytes that remain.
        require(size <= in.remaining());
        for (long i = 0; i < size; i++) {
            element.read(head & 0xf);
        }
    }

    long integer(int type) throws JobFailure {
        require(type >= BYTE && type <= I64);
        return type == BYTE ? in.get() : zigzag();
    }

    /** Reads a number of bytes, rows or values. */
    long count(int type) throws JobFailure {
        long count = integer(type);
        require(count >= 0);
        return count;
    }

    boolean bool(int type) throws JobFailure {
        require(type == TRUE || type == FALSE);
        return type == TRUE;
    }

    String text(int type) throws JobFailure {
        require(type == BINARY);
        long length = varint();
        require(length <= in.remaining());
        byte[] bytes = new byte[(int) length];
        in.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private void skip(int type) throws JobFailure {
        switch (type) {
            case TRUE, FALSE -> {}
            case DOUBLE -> pass(Double.BYTES);
            case BINARY -> pass(varint());
            case LIST, SET -> list(type, this::skipElement);
            case MAP -> skipMap();
            case STRUCT -> struct((id, inner) -> false);
            default -> integer(type);
        }
    }

    private void skipElement(int type) throws JobFailure {
        // In a list, a Boolean has a byte of its own; in a field, its type is the value.
        if (type == TRUE || type == FALSE) {
            in.get();
        } else {
            require(++depth <= MAX_DEPTH);
            skip(type);
            depth--;
        }
    }

    private void skipMap() throws JobFailure {
        long size = varint();
        if (size > 0) {
            int types = in.get() & 0xff;
            require(size <= in.remaining());
            for (long i = 0; i < size; i++) {
                skipElement(types >>> 4);
                skipElement(types & 0xf);
            }
        }
    }

    private void pass(long bytes) throws JobFailure {
        require(bytes <= in.remaining());
        in.position(in.position() + (int) bytes);
    }

    private long zigzag() throws JobFailure {
        long value = unsigned(in);
        return value >>> 1 ^ -(value & 1);
    }

    private long varint() throws JobFailure {
        long value = unsigned(in);
        require(value >= 0);
        return value;
    }

    /** Reads an unsigned number with seven bits in each byte. */
    static long unsigned(ByteBuffer in) throws JobFailure {
        long value = 0;
        for (int shift = 0; shift < MAX_VARINT_BITS; shift += 7) {
            byte bits = in.get();
            value |= (long) (bits & 0x7f) << shift;
            if (bits >= 0) {
                return value;
            }
        }
        throw malformed("has a number of more than 64 bits");
    }

    private static void require(boolean condition) throws JobFailure {
        if (!condition) {
            throw malformed("has an impossible type or length");
        }
    }

    private static JobFailure malformed(String problem) {
        return JobFailure.badFile("the file is not valid Parquet: its metadata %s", problem);
    }
}
