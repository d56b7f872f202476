package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The keys and values that a forward pass computes of all its tokens: the outputs {@code present.*}, [rows, kv_heads, tokens,
 * head_dim] each. They are written where they stay, so those of a lone sequence are not copied at all.
 */
public final class Present implements AutoCloseable {

    private final Bundle bundle;
    private final int rows;
    private final OnnxPrefix all;
    private final Map<String, OnnxTensor> tensors = new HashMap<>();

    /**
     * @param names the outputs, in order
     * @param tokens the tokens of a row with its prefix and its padding
     */
    public Present(Bundle bundle, List<String> names, int rows, int tokens) throws OrtException {
        this.bundle = bundle;
        this.rows = rows;
        this.all = OnnxPrefix.blank(bundle, rows, tokens);
        for (int i = 0; i < names.size(); i++) {
            tensors.put(names.get(i), all.tensor(i));
        }
    }

    public Map<String, OnnxTensor> tensors() {
        return tensors;
    }

    /**
     * Returns the keys and values of one row as a prefix, of which the caller owns a reference.
     *
     * @param tokens the tokens of the row without its padding
     */
    public Prefix take(int row, int tokens) throws OrtException {
        if (rows == 1 && tokens == all.tokens()) {
            all.retain();
            return all;
        }
        int stride = all.tokens() * bundle.headDim();
        int head = tokens * bundle.headDim();
        return new OnnxPrefix(
                bundle,
                tokens,
                (i, to) -> {
                    for (int each = 0; each < bundle.kvHeads(); each++) {
                        to.put(each * head, all.floats(i), (row * bundle.kvHeads() + each) * stride, head);
                    }
                },
                () -> {});
    }

    @Override
    public void close() {
        all.release();
    }
}
