package io.softcall.jobs.formats.parquet;

import io.softcall.SoftcallException;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.RowId;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * A column of a Parquet file that jobs read.
 *
 * @param leaf its index among the columns that contain values
 * @param width bytes of a value; 0 when values differ in length
 * @param optional whether values may be missing
 */
record ParquetColumn(String name, int leaf, Physical physical, int width, boolean optional, Meaning meaning) {

    private static final int MAX_SCALE = 1_000;

    /** The physical types, in Parquet's order. */
    enum Physical {
        BOOLEAN(0),
        INT32(4),
        INT64(8),
        INT96(12),
        FLOAT(4),
        DOUBLE(8),
        BYTE_ARRAY(0),
        FIXED_LEN_BYTE_ARRAY(0);

        final int width;

        Physical(int width) {
            this.width = width;
        }
    }

    /** The meaning of values: a logical type, or the older converted type. */
    sealed interface Meaning {

        /** The physical type without a further meaning. */
        record Plain() implements Meaning {}

        record Text() implements Meaning {}

        record Unsigned() implements Meaning {}

        record Decimal(int scale) implements Meaning {}

        record Date() implements Meaning {}

        /** @param utc whether values are instants in UTC; otherwise they are local times */
        record Timestamp(TimeUnit unit, boolean utc) implements Meaning {}

        record Uuid() implements Meaning {}

        /** A type that cannot be an id, with Parquet's name for it. */
        record Other(String name) implements Meaning {}
    }

    boolean isText() {
        return physical == Physical.BYTE_ARRAY && (meaning instanceof Meaning.Plain || meaning instanceof Meaning.Text);
    }

    /** Returns why values of this column cannot be ids; empty when they can. */
    Optional<String> whyNoId() {
        boolean possible =
                switch (meaning) {
                    case Meaning.Plain plain ->
                        physical != Physical.BOOLEAN
                                && physical != Physical.INT96
                                && physical != Physical.FIXED_LEN_BYTE_ARRAY;
                    case Meaning.Text text -> physical == Physical.BYTE_ARRAY;
                    case Meaning.Unsigned unsigned -> physical == Physical.INT32 || physical == Physical.INT64;
                    case Meaning.Decimal(int scale) ->
                        scale >= 0
                                && scale <= MAX_SCALE
                                && physical != Physical.BOOLEAN
                                && physical != Physical.INT96
                                && physical != Physical.FLOAT
                                && physical != Physical.DOUBLE;
                    case Meaning.Date date -> physical == Physical.INT32;
                    case Meaning.Timestamp timestamp -> physical == Physical.INT64;
                    case Meaning.Uuid uuid -> physical == Physical.FIXED_LEN_BYTE_ARRAY && width == 2 * Long.BYTES;
                    case Meaning.Other other -> false;
                };
        String type = meaning instanceof Meaning.Other(String other) ? other : physical.name();
        return possible
                ? Optional.empty()
                : Optional.of("id is of Parquet's type %s, expected a text, a number, a date, a time or a UUID"
                        .formatted(type));
    }

    /**
     * Reads a value as a row's id, without loss.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} when it cannot be an id
     */
    void readId(ByteBuffer value, Row.Fields row) {
        ByteBuffer bytes = value.slice().order(ByteOrder.LITTLE_ENDIAN);
        switch (meaning) {
            case Meaning.Text text -> row.textAsId(text(bytes));
            case Meaning.Unsigned unsigned ->
                row.numberAsId(
                        physical == Physical.INT32
                                ? Integer.toUnsignedString(bytes.getInt())
                                : Long.toUnsignedString(bytes.getLong()));
            case Meaning.Decimal(int scale) -> row.numberAsId(new BigDecimal(unscaled(bytes), scale).toPlainString());
            case Meaning.Date date ->
                row.textAsId(LocalDate.ofEpochDay(bytes.getInt()).toString());
            case Meaning.Timestamp(TimeUnit unit, boolean utc) -> {
                Instant instant = Instant.EPOCH.plus(bytes.getLong(), unit.toChronoUnit());
                row.textAsId(
                        utc
                                ? instant.toString()
                                : instant.atOffset(ZoneOffset.UTC)
                                        .toLocalDateTime()
                                        .toString());
            }
            case Meaning.Uuid uuid -> {
                bytes.order(ByteOrder.BIG_ENDIAN);
                row.textAsId(new UUID(bytes.getLong(), bytes.getLong()).toString());
            }
            case Meaning.Plain plain when physical == Physical.BYTE_ARRAY -> row.textAsId(text(bytes));
            case Meaning.Plain plain -> row.numberAsId(number(bytes));
            case Meaning.Other other -> throw new IllegalStateException("whyNoId excludes this type");
        }
    }

    private String number(ByteBuffer bytes) {
        double real;
        switch (physical) {
            case INT32 -> {
                return Integer.toString(bytes.getInt());
            }
            case INT64 -> {
                return Long.toString(bytes.getLong());
            }
            case FLOAT -> real = Double.parseDouble(Float.toString(bytes.getFloat()));
            default -> real = bytes.getDouble();
        }
        if (!Double.isFinite(real)) {
            throw SoftcallException.invalid("id is %s, expected a number or a text", Double.toString(real));
        }
        return Double.toString(real);
    }

    private BigInteger unscaled(ByteBuffer bytes) {
        return switch (physical) {
            case INT32 -> BigInteger.valueOf(bytes.getInt());
            case INT64 -> BigInteger.valueOf(bytes.getLong());
            default -> {
                byte[] bigEndian = new byte[bytes.remaining()];
                bytes.get(bigEndian);
                if (bigEndian.length == 0 || bigEndian.length > RowId.MAX_CHARACTERS) {
                    throw SoftcallException.invalid(
                            "id has %d bytes, expected 1 to %d", bigEndian.length, RowId.MAX_CHARACTERS);
                }
                yield new BigInteger(bigEndian);
            }
        };
    }

    /** @throws SoftcallException {@code INVALID_REQUEST} when it is not UTF-8 */
    String text(ByteBuffer value) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(value.slice()).toString();
        } catch (CharacterCodingException e) {
            throw SoftcallException.invalid("%s is not UTF-8", name);
        }
    }
}
