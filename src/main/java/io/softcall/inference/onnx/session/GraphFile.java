package io.softcall.inference.onnx.session;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The bytes of an ONNX graph without its weights, as Protocol Buffers encode them. Only the initializers are looked at: field
 * 7 of a {@code ModelProto} is its graph, field 5 of a {@code GraphProto} an initializer, field 8 of a {@code TensorProto} its
 * name.
 */
public record GraphFile(byte[] bytes) {

    private static final int GRAPH = 7;
    private static final int INITIALIZER = 5;
    private static final int NAME = 8;

    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int MESSAGE = 2;
    private static final int FIXED32 = 5;

    /** One field of a message: [start, end) with its tag, and where its value begins. */
    private record Field(int number, int type, int start, int value, int end) {}

    /** The fields of a message, one after the other. */
    private static final class Fields {

        private final ByteBuffer bytes;

        Fields(byte[] all, int start, int end) {
            bytes = ByteBuffer.wrap(all, start, end - start);
        }

        Optional<Field> next() {
            if (!bytes.hasRemaining()) {
                return Optional.empty();
            }
            int start = bytes.position();
            long tag = varint();
            int type = (int) tag & 7;
            int length =
                    switch (type) {
                        case VARINT -> 0;
                        case FIXED64 -> Long.BYTES;
                        case FIXED32 -> Integer.BYTES;
                        case MESSAGE -> (int) varint();
                        default -> throw new IllegalArgumentException("wire type " + type);
                    };
            int value = bytes.position();
            if (type == VARINT) {
                varint();
            } else {
                bytes.position(value + length);
            }
            return Optional.of(new Field((int) (tag >>> 3), type, start, value, bytes.position()));
        }

        private long varint() {
            long value = 0;
            for (int shift = 0; shift < Long.SIZE; shift += 7) {
                byte next = bytes.get();
                value |= (next & 0x7fL) << shift;
                if (next >= 0) {
                    return value;
                }
            }
            throw new IllegalArgumentException("a number of more than 64 bits");
        }
    }

    /**
     * Returns this graph with the initializers of another one in place of its own of the same name. So a graph uses the
     * weights that ONNX Runtime has packed and saved for another.
     *
     * @throws IllegalArgumentException if either is not a graph
     */
    public GraphFile withInitializersOf(GraphFile other) {
        try {
            Field graph = graph();
            byte[] replaced = replaced(graph, other.initializers());
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            out.write(bytes, 0, graph.start());
            writeVarint(out, GRAPH << 3 | MESSAGE);
            writeVarint(out, replaced.length);
            out.writeBytes(replaced);
            out.write(bytes, graph.end(), bytes.length - graph.end());
            return new GraphFile(out.toByteArray());
        } catch (RuntimeException e) {
            throw new IllegalArgumentException("this is not an ONNX graph: " + e.getMessage(), e);
        }
    }

    private byte[] replaced(Field graph, Map<String, byte[]> others) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Fields fields = new Fields(bytes, graph.value(), graph.end());
        for (Optional<Field> field = fields.next(); field.isPresent(); field = fields.next()) {
            byte[] other = field.get().number() == INITIALIZER ? others.get(name(field.get())) : null;
            if (other == null) {
                out.write(
                        bytes,
                        field.get().start(),
                        field.get().end() - field.get().start());
            } else {
                out.writeBytes(other);
            }
        }
        return out.toByteArray();
    }

    /** Returns the initializers by their names, each with its tag and length. */
    private Map<String, byte[]> initializers() {
        Map<String, byte[]> found = new HashMap<>();
        Field graph = graph();
        Fields fields = new Fields(bytes, graph.value(), graph.end());
        for (Optional<Field> field = fields.next(); field.isPresent(); field = fields.next()) {
            if (field.get().number() == INITIALIZER) {
                byte[] whole = new byte[field.get().end() - field.get().start()];
                System.arraycopy(bytes, field.get().start(), whole, 0, whole.length);
                found.put(name(field.get()), whole);
            }
        }
        return found;
    }

    private Field graph() {
        return first(new Fields(bytes, 0, bytes.length), GRAPH);
    }

    private String name(Field initializer) {
        Field name = first(new Fields(bytes, initializer.value(), initializer.end()), NAME);
        return new String(bytes, name.value(), name.end() - name.value(), StandardCharsets.UTF_8);
    }

    private static Field first(Fields fields, int number) {
        for (Optional<Field> field = fields.next(); field.isPresent(); field = fields.next()) {
            if (field.get().number() == number && field.get().type() == MESSAGE) {
                return field.get();
            }
        }
        throw new IllegalArgumentException("no field " + number);
    }

    private static void writeVarint(ByteArrayOutputStream out, int value) {
        int left = value;
        while (left >>> 7 != 0) {
            out.write(left & 0x7f | 0x80);
            left >>>= 7;
        }
        out.write(left);
    }
}
