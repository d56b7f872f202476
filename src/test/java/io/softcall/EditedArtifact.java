package io.softcall;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** The artifact of a tiny task with something changed, as an attacker or a mistake may produce it. */
public final class EditedArtifact {

    private static final JsonMapper JSON = new JsonMapper();
    private static final String METADATA = "__metadata__";
    private static final String SOFTCALL = "softcall";

    private final ObjectNode header;
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    private EditedArtifact(byte[] artifact) {
        ByteBuffer file = ByteBuffer.wrap(artifact).order(ByteOrder.LITTLE_ENDIAN);
        byte[] headerBytes = new byte[(int) file.getLong()];
        file.get(headerBytes);
        try {
            header = (ObjectNode) JSON.readTree(headerBytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        data.write(artifact, file.position(), file.remaining());
    }

    public static EditedArtifact of(String task) {
        return new EditedArtifact(Tiny.artifact(task));
    }

    /** Changes the {@code softcall} metadata. */
    public EditedArtifact metadata(Consumer<ObjectNode> change) {
        ObjectNode metadata = (ObjectNode) header.get(METADATA);
        try {
            ObjectNode softcall =
                    (ObjectNode) JSON.readTree(metadata.get(SOFTCALL).textValue());
            change.accept(softcall);
            return rawMetadata(JSON.writeValueAsString(softcall));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Replaces the {@code softcall} metadata. */
    public EditedArtifact rawMetadata(String softcall) {
        ((ObjectNode) header.get(METADATA)).put(SOFTCALL, softcall);
        return this;
    }

    /** Adds to the metadata next to {@code softcall}. */
    public EditedArtifact header(String name, String value) {
        ((ObjectNode) header.get(METADATA)).put(name, value);
        return this;
    }

    /** Sets all elements of an existing tensor of type F32. */
    public EditedArtifact fill(String tensor, float value) {
        int begin = header.at("/" + tensor + "/data_offsets/0").intValue();
        int end = header.at("/" + tensor + "/data_offsets/1").intValue();
        byte[] bytes = data.toByteArray();
        ByteBuffer.wrap(bytes, begin, end - begin)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer()
                .put(floats((end - begin) / Float.BYTES, value));
        data.reset();
        data.writeBytes(bytes);
        return this;
    }

    private static float[] floats(int count, float value) {
        float[] floats = new float[count];
        java.util.Arrays.fill(floats, value);
        return floats;
    }

    /** Adds a tensor with two bytes per element, all of which are {@code value}. */
    public EditedArtifact tensor(String name, String dtype, short value, int... shape) {
        ObjectNode tensor = header.putObject(name).put("dtype", dtype);
        int elements = 1;
        for (int dimension : shape) {
            tensor.withArray("shape").add(dimension);
            elements *= dimension;
        }
        ByteBuffer added = ByteBuffer.allocate(elements * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (added.hasRemaining()) {
            added.putShort(value);
        }
        tensor.putArray("data_offsets").add(data.size()).add(data.size() + added.capacity());
        data.writeBytes(added.array());
        return this;
    }

    public byte[] bytes() {
        try {
            byte[] json = JSON.writeValueAsString(header).getBytes(StandardCharsets.UTF_8);
            return ByteBuffer.allocate(Long.BYTES + json.length + data.size())
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(json.length)
                    .put(json)
                    .put(data.toByteArray())
                    .array();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
