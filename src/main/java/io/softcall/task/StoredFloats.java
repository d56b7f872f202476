package io.softcall.task;

import java.nio.FloatBuffer;
import java.util.OptionalInt;

/**
 * Floating-point numbers in the type in which an artifact stores them, so that they take no more memory than there.
 *
 * <p>The numbers are in arrays, not buffers, because arrays are faster in loops that are not compiled yet. The first call of a
 * process goes through all elements in such loops. Nobody changes the arrays after they were passed to a constructor.
 */
public sealed interface StoredFloats {

    /** The numbers that are converted at once: few enough for a processor's first cache. */
    int CHUNK = 4_096;

    int size();

    /** Returns the bytes of the numbers. */
    long bytes();

    /** Converts {@code count} numbers, beginning with the one at index {@code from}, into the beginning of an array. */
    void convert(int from, float[] to, int count);

    /** Returns the index of the first number that is not finite; empty if all are. */
    OptionalInt firstNotFinite();

    /** Returns {@code count} numbers as float32, beginning with the one at index {@code from}. */
    default float[] floats(int from, int count) {
        float[] floats = new float[count];
        convert(from, floats, count);
        return floats;
    }

    /** Returns all numbers as float32. The result must not be changed. */
    default float[] floats() {
        return floats(0, size());
    }

    /** Writes numbers, beginning with the one at index {@code from}, until the buffer is full. */
    default void copy(int from, FloatBuffer to) {
        float[] chunk = new float[Math.min(to.remaining(), CHUNK)];
        int next = from;
        while (to.hasRemaining()) {
            int count = Math.min(to.remaining(), chunk.length);
            convert(next, chunk, count);
            to.put(chunk, 0, count);
            next += count;
        }
    }

    /** Single precision. */
    record F32(float[] values) implements StoredFloats {

        @Override
        public int size() {
            return values.length;
        }

        @Override
        public long bytes() {
            return (long) Float.BYTES * values.length;
        }

        @Override
        public void convert(int from, float[] to, int count) {
            System.arraycopy(values, from, to, 0, count);
        }

        @Override
        public float[] floats() {
            return values;
        }

        @Override
        public void copy(int from, FloatBuffer to) {
            to.put(values, from, to.remaining());
        }

        @Override
        public OptionalInt firstNotFinite() {
            for (int i = 0; i < values.length; i++) {
                if (!Float.isFinite(values[i])) {
                    return OptionalInt.of(i);
                }
            }
            return OptionalInt.empty();
        }
    }

    /** Numbers of 16 bits. One is not finite if all bits of its exponent are set. */
    sealed interface Halves extends StoredFloats {

        short[] values();

        /** Returns the bits of the exponent. */
        int exponent();

        @Override
        default int size() {
            return values().length;
        }

        @Override
        default long bytes() {
            return (long) Short.BYTES * size();
        }

        @Override
        default OptionalInt firstNotFinite() {
            short[] values = values();
            int exponent = exponent();
            for (int i = 0; i < values.length; i++) {
                if ((values[i] & exponent) == exponent) {
                    return OptionalInt.of(i);
                }
            }
            return OptionalInt.empty();
        }
    }

    /** Half precision: 5 bits of exponent, 10 of mantissa. */
    record F16(short[] values) implements Halves {

        @Override
        public int exponent() {
            return 0x7c00;
        }

        @Override
        public void convert(int from, float[] to, int count) {
            for (int i = 0; i < count; i++) {
                to[i] = Float.float16ToFloat(values[from + i]);
            }
        }
    }

    /** The upper half of single precision: 8 bits of exponent, 7 of mantissa. */
    record BF16(short[] values) implements Halves {

        @Override
        public int exponent() {
            return 0x7f80;
        }

        @Override
        public void convert(int from, float[] to, int count) {
            for (int i = 0; i < count; i++) {
                to[i] = Float.intBitsToFloat(values[from + i] << Short.SIZE);
            }
        }
    }
}
