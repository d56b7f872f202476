package io.softcall;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Map.Entry;
import java.util.function.Consumer;

/** The artifact of a tiny task with something changed, as an attacker or a mistake may produce it. */
public final class EditedArtifact {

    private static final JsonMapper JSON = new JsonMapper();
    private static final String METADATA = "__metadata__";
    private static final String SOFTCALL = "softcall";

    private final ObjectNode metadata;
    /** In the order in which they are stored. */
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    private record Tensor(String dtype, int[] shape, byte[] data) {}

    private EditedArtifact(byte[] artifact) {
        ByteBuffer file = ByteBuffer.wrap(artifact).order(ByteOrder.LITTLE_ENDIAN);
        byte[] headerBytes = new byte[(int) file.getLong()];
        file.get(headerBytes);
        try {
            ObjectNode header = (ObjectNode) JSON.readTree(headerBytes);
            metadata = (ObjectNode) header.remove(METADATA);
            header.properties().stream()
                    .sorted(Comparator.comparingInt(entry -> begin(entry.getValue())))
                    .forEach(entry -> add(entry, file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int begin(JsonNode tensor) {
        return tensor.at("/data_offsets/0").intValue();
    }

    private void add(Entry<String, JsonNode> entry, ByteBuffer data) {
        JsonNode tensor = entry.getValue();
        byte[] bytes = new byte[tensor.at("/data_offsets/1").intValue() - begin(tensor)];
        data.get(bytes);
        tensors.put(
                entry.getKey(),
                new Tensor(
                        tensor.get("dtype").textValue(), JSON.convertValue(tensor.get("shape"), int[].class), bytes));
    }

    public static EditedArtifact of(String task) {
        return new EditedArtifact(Tiny.artifact(task));
    }

    /** Returns a task with the prompt of a tiny one that writes text, by its own template and defaults. */
    public static EditedArtifact writing(String task) {
        return of(task).without("label_head").without("label_bias").metadata(softcall -> softcall.put("schema", 2)
                .put("prompt", softcall.path("prompt").asText("soft"))
                .put("kind", "generation")
                .put("template", "{text}")
                .without(List.of("labels", "abstain_threshold", "thresholds", "temperature")));
    }

    /** Changes the {@code softcall} metadata. */
    public EditedArtifact metadata(Consumer<ObjectNode> change) {
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
        metadata.put(SOFTCALL, softcall);
        return this;
    }

    /** Adds to the metadata next to {@code softcall}. */
    public EditedArtifact header(String name, String value) {
        metadata.put(name, value);
        return this;
    }

    public EditedArtifact without(String tensor) {
        tensors.remove(tensor);
        return this;
    }

    /** Sets all elements of an existing tensor of type F32. */
    public EditedArtifact fill(String tensor, float value) {
        Tensor filled = tensors.get(tensor);
        float[] values = new float[filled.data().length / Float.BYTES];
        Arrays.fill(values, value);
        return floats(tensor, values, filled.shape());
    }

    /** Adds or replaces a tensor of type F32. */
    public EditedArtifact floats(String name, float[] values, int... shape) {
        ByteBuffer data = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        data.asFloatBuffer().put(values);
        tensors.put(name, new Tensor("F32", shape, data.array()));
        return this;
    }

    /** Adds or replaces a tensor with two bytes per element, all of which are {@code value}. */
    public EditedArtifact tensor(String name, String dtype, short value, int... shape) {
        short[] values = new short[Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Arrays.fill(values, value);
        return halves(name, dtype, values, shape);
    }

    /** Adds or replaces a tensor with two bytes per element. */
    public EditedArtifact halves(String name, String dtype, short[] values, int... shape) {
        ByteBuffer data = ByteBuffer.allocate(values.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        data.asShortBuffer().put(values);
        tensors.put(name, new Tensor(dtype, shape, data.array()));
        return this;
    }

    public byte[] bytes() {
        ObjectNode header = JSON.createObjectNode();
        header.set(METADATA, metadata);
        int size = 0;
        for (Entry<String, Tensor> entry : tensors.entrySet()) {
            Tensor tensor = entry.getValue();
            ObjectNode node = header.putObject(entry.getKey()).put("dtype", tensor.dtype());
            node.set("shape", JSON.valueToTree(tensor.shape()));
            node.putArray("data_offsets").add(size).add(size + tensor.data().length);
            size += tensor.data().length;
        }
        try {
            byte[] json = JSON.writeValueAsString(header).getBytes(StandardCharsets.UTF_8);
            ByteBuffer file = ByteBuffer.allocate(Long.BYTES + json.length + size)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(json.length)
                    .put(json);
            tensors.values().forEach(tensor -> file.put(tensor.data()));
            return file.array();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
