package io.softcall.task.artifact;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.StrictJson;
import io.softcall.task.RefusedException;
import io.softcall.task.StoredFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.IntUnaryOperator;

/**
 * A safetensors file from untrusted bytes: eight bytes of header length, a JSON header, and the tensors one after the other.
 * {@link #parse} checks everything that the format requires, so every instance is valid.
 *
 * @param metadata the strings of {@code __metadata__}
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
record Safetensors(Map<String, String> metadata, Map<String, Tensor> tensors) {

    private static final int MAX_TENSORS = 64;

    private static final int MAX_RANK = 8;

    /**
     * The bound on the header. The format's own bound is 100 MB. Labels and a template take tens of kilobytes, and data about a
     * training take as much.
     */
    private static final int MAX_HEADER_BYTES = 1 << 20;

    private static final int MAX_DEPTH = 8;
    private static final int MAX_TOKENS = 50_000;
    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);

    Safetensors {
        metadata = Map.copyOf(metadata);
        tensors = Map.copyOf(tensors);
    }

    /** A tensor, little-endian and row-major. */
    record Tensor(String name, String dtype, List<Long> shape, ByteBuffer data) {

        /** Copies {@code count} adjacent values. The indices count values, not bytes. */
        @FunctionalInterface
        interface Run {
            void copy(int from, int to, int count);
        }

        /** Returns a copy of the values, in their order. */
        StoredFloats values() throws RefusedException {
            int size = size();
            return values(run -> run.copy(0, 0, size));
        }

        /** Returns a copy of the values, in their order. Refuses values that are not finite. */
        StoredFloats finiteValues() throws RefusedException {
            return finite(values(), IntUnaryOperator.identity());
        }

        /**
         * Returns a copy of the values in another order. Refuses values that are not finite.
         *
         * @param runs copies all values, each once, in runs that are as long as possible: these are fast in code that is not
         *     compiled yet, too
         * @param stored gives the index in this tensor for one in the copy, for the message
         */
        StoredFloats finiteValues(Consumer<Run> runs, IntUnaryOperator stored) throws RefusedException {
            return finite(values(runs), stored);
        }

        private StoredFloats finite(StoredFloats values, IntUnaryOperator stored) throws RefusedException {
            OptionalInt notFinite = values.firstNotFinite();
            if (notFinite.isPresent()) {
                int at = notFinite.getAsInt();
                throw new RefusedException(
                        "tensor %s holds the value %s at element %d",
                        name, values.floats(at, 1)[0], stored.applyAsInt(at));
            }
            return values;
        }

        private StoredFloats values(Consumer<Run> runs) throws RefusedException {
            ByteBuffer in = data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
            return switch (dtype) {
                case "F32" -> {
                    FloatBuffer stored = in.asFloatBuffer();
                    float[] values = new float[size()];
                    runs.accept((from, to, count) -> stored.get(from, values, to, count));
                    yield new StoredFloats.F32(values);
                }
                case "F16" -> new StoredFloats.F16(halves(in, runs));
                case "BF16" -> new StoredFloats.BF16(halves(in, runs));
                default -> throw new RefusedException("tensor %s has type %s, expected F32, F16 or BF16", name, dtype);
            };
        }

        void requireShape(int... expected) throws RefusedException {
            List<Long> dimensions =
                    Arrays.stream(expected).mapToLong(each -> each).boxed().toList();
            if (!shape.equals(dimensions)) {
                throw new RefusedException("tensor %s has shape %s, expected %s", name, shape, dimensions);
            }
        }

        private short[] halves(ByteBuffer in, Consumer<Run> runs) throws RefusedException {
            ShortBuffer stored = in.asShortBuffer();
            short[] values = new short[size()];
            runs.accept((from, to, count) -> stored.get(from, values, to, count));
            return values;
        }

        private int size() throws RefusedException {
            return data.remaining() / bytesPerElement(name, dtype);
        }
    }

    /** @throws RefusedException if the bytes are not a complete, well-formed file */
    static Safetensors parse(byte[] bytes) throws RefusedException {
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long headerLength = headerLength(file);
        JsonNode header = header(bytes, (int) headerLength);
        ByteBuffer data = file.slice(Long.BYTES + (int) headerLength, bytes.length - Long.BYTES - (int) headerLength);

        Map<String, String> metadata = new TreeMap<>();
        List<Placed> placed = new ArrayList<>();
        for (var entry : header.properties()) {
            if (entry.getKey().equals("__metadata__")) {
                for (var field : entry.getValue().properties()) {
                    metadata.put(field.getKey(), field.getValue().asText());
                }
            } else {
                if (placed.size() == MAX_TENSORS) {
                    throw new RefusedException("more than %d tensors, the most that are accepted", MAX_TENSORS);
                }
                placed.add(Placed.read(entry.getKey(), entry.getValue()));
            }
        }
        return new Safetensors(metadata, cut(placed, data));
    }

    private static long headerLength(ByteBuffer file) throws RefusedException {
        int bytes = file.capacity();
        long length = bytes < Long.BYTES ? 0 : file.getLong();
        boolean fits = length >= 2 && length <= bytes - Long.BYTES;
        if (!fits || file.get(Long.BYTES) != '{') {
            Optional<String> other = FirstBytes.tell(file.array());
            if (other.isPresent()) {
                throw new RefusedException("it is %s", other.get());
            }
        }
        if (bytes < Long.BYTES) {
            throw new RefusedException("%d bytes are too few for a safetensors file", bytes);
        }
        if (!fits) {
            throw new RefusedException(
                    "the safetensors header claims %s bytes, the file has %d after the length",
                    Long.toUnsignedString(length), bytes - Long.BYTES);
        }
        if (length > MAX_HEADER_BYTES) {
            throw new RefusedException(
                    "the safetensors header has %d bytes, at most %d are accepted", length, MAX_HEADER_BYTES);
        }
        return length;
    }

    Optional<Tensor> tensor(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    Tensor require(String name) throws RefusedException {
        return tensor(name).orElseThrow(() -> new RefusedException("tensor %s is missing", name));
    }

    /** Returns the values of a tensor as float32. Refuses another shape, and values that are not finite. */
    float[] floats(String name, int... shape) throws RefusedException {
        Tensor tensor = require(name);
        tensor.requireShape(shape);
        return tensor.finiteValues().floats();
    }

    private static JsonNode header(byte[] bytes, int length) throws RefusedException {
        try {
            JsonNode header = JSON.read(ByteBuffer.wrap(bytes, Long.BYTES, length));
            if (!header.isObject()) {
                throw new RefusedException("the safetensors header is not a JSON object");
            }
            return header;
        } catch (StrictJson.MalformedException e) {
            throw new RefusedException("the safetensors header %s", e.getMessage());
        }
    }

    /** A tensor's entry in the header, which claims a place in the data part. */
    private record Placed(String name, String dtype, List<Long> shape, long begin, long end) {

        static Placed read(String name, JsonNode node) throws RefusedException {
            JsonNode offsets = node.path("data_offsets");
            JsonNode dimensions = node.path("shape");
            if (!node.path("dtype").isTextual()
                    || !dimensions.isArray()
                    || dimensions.size() > MAX_RANK
                    || !offsets.isArray()
                    || offsets.size() != 2
                    || !isSize(offsets.get(0))
                    || !isSize(offsets.get(1))) {
                throw new RefusedException("tensor %s has a malformed entry in the safetensors header", name);
            }
            List<Long> shape = new ArrayList<>();
            long elements = 1;
            for (JsonNode dimension : dimensions) {
                if (!isSize(dimension)) {
                    throw new RefusedException("tensor %s has the dimension %s", name, dimension);
                }
                shape.add(dimension.longValue());
                elements =
                        Math.multiplyHigh(elements, dimension.longValue()) == 0 ? elements * dimension.longValue() : -1;
                if (elements < 0 || elements > Integer.MAX_VALUE) {
                    throw new RefusedException("tensor %s of shape %s is too large", name, dimensions);
                }
            }
            String dtype = node.get("dtype").textValue();
            long begin = offsets.get(0).longValue();
            long end = offsets.get(1).longValue();
            if (end - begin != elements * bytesPerElement(name, dtype)) {
                throw new RefusedException(
                        "tensor %s of shape %s and type %s has %d bytes", name, dimensions, dtype, end - begin);
            }
            return new Placed(name, dtype, Collections.unmodifiableList(shape), begin, end);
        }

        private static boolean isSize(JsonNode node) {
            return node.isIntegralNumber() && node.canConvertToLong() && node.longValue() >= 0;
        }
    }

    /** Cuts the tensors out. They must fill the data part without gaps, overlaps, or bytes after the last one. */
    private static Map<String, Tensor> cut(List<Placed> placed, ByteBuffer data) throws RefusedException {
        placed.sort(Comparator.comparingLong(Placed::begin).thenComparingLong(Placed::end));
        Map<String, Tensor> tensors = new TreeMap<>();
        long position = 0;
        for (Placed tensor : placed) {
            if (tensor.begin() != position) {
                throw new RefusedException(
                        "tensor %s begins at byte %d of the data, expected %d",
                        tensor.name(), tensor.begin(), position);
            }
            if (tensor.end() > data.capacity()) {
                throw new RefusedException(
                        "tensor %s ends at byte %d of the data, which has %d: the file is truncated",
                        tensor.name(), tensor.end(), data.capacity());
            }
            position = tensor.end();
            ByteBuffer bytes = data.slice((int) tensor.begin(), (int) (tensor.end() - tensor.begin()));
            tensors.put(tensor.name(), new Tensor(tensor.name(), tensor.dtype(), tensor.shape(), bytes));
        }
        if (position != data.capacity()) {
            throw new RefusedException("%d bytes lie behind the last tensor", data.capacity() - position);
        }
        return tensors;
    }

    private static int bytesPerElement(String name, String dtype) throws RefusedException {
        return switch (dtype) {
            case "F64", "I64", "U64" -> 8;
            case "F32", "I32", "U32" -> 4;
            case "F16", "BF16", "I16", "U16" -> 2;
            case "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2" -> 1;
            default ->
                throw new RefusedException(
                        "tensor %s has type %s, expected one of %s", name, dtype, Arrays.asList("F32", "F16", "BF16"));
        };
    }
}
