package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OnnxModelMetadata;
import java.util.Optional;

/** The order of a key's elements in the pages of a trunk. Elements i and i + head_dim / 2 are rotated together. */
public enum KeyOrder {
    /** The order of the full-precision trunk. */
    HALVES,
    /** Elements that are rotated together are adjacent. */
    PAIRS;

    private static final String ENTRY = "key_order";

    /**
     * Reads the order from the metadata of a graph.
     *
     * @throws IllegalArgumentException if the server does not know the order
     */
    public static KeyOrder of(OnnxModelMetadata graph) {
        Optional<String> order = graph.getCustomMetadataValue(ENTRY);
        if (order.isEmpty()) {
            return HALVES;
        }
        if (order.get().equals("pairs")) {
            return PAIRS;
        }
        throw new IllegalArgumentException(
                "the trunk's %s is %s; this server knows pairs".formatted(ENTRY, order.get()));
    }

    /** Returns the index in a page of element {@code i} of a key's head, counted in the order of full precision. */
    public int place(int i, int headDim) {
        int half = headDim / 2;
        return switch (this) {
            case HALVES -> i;
            case PAIRS -> i < half ? 2 * i : 2 * (i - half) + 1;
        };
    }
}
