package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxModelMetadata;
import java.util.Optional;

/** In which order the pages of a trunk hold a key's elements, of which i and i + head_dim / 2 are rotated together. */
enum KeyOrder {
    /** As full precision gives them. */
    HALVES,
    /** Those that are rotated together side by side. */
    PAIRS;

    private static final String ENTRY = "key_order";

    /** What the graph says. */
    static KeyOrder of(OnnxModelMetadata graph) {
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

    /** Where element {@code i} of a key's head as full precision gives it lies. */
    int place(int i, int headDim) {
        int half = headDim / 2;
        return switch (this) {
            case HALVES -> i;
            case PAIRS -> i < half ? 2 * i : 2 * (i - half) + 1;
        };
    }
}
