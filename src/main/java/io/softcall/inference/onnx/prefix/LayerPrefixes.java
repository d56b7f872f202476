package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.session.SessionInputs;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Prefixes as one tensor for the keys and one for the values of each layer. docs/base-bundle.md names them. */
public final class LayerPrefixes implements PrefixForm {

    private final Bundle bundle;
    private final List<String> names;
    private final PrefixRoom room;

    /**
     * @param cacheBytes the memory for cached prefixes; prefixes that were evicted while calls still use them may take as much
     *     again, or as much as one that is larger than the cache
     */
    public LayerPrefixes(Bundle bundle, long cacheBytes) {
        this.bundle = bundle;
        this.names = names(bundle, "past_key_values.");
        long cachedTokens = cacheBytes / bundle.kvBytesOfAToken();
        this.room = new PrefixRoom(cachedTokens, cachedTokens);
    }

    /** Returns the names of the graph's keys and values, in order. Each name begins with {@code start}. */
    public static List<String> names(Bundle bundle, String start) {
        List<String> names = new ArrayList<>();
        for (int layer = 0; layer < bundle.layers(); layer++) {
            names.add(start + layer + ".key");
            names.add(start + layer + ".value");
        }
        return List.copyOf(names);
    }

    @Override
    public Prefix keep(int tokens, Source values) throws OrtException {
        int places = room.bounded(tokens);
        room.take(places);
        return new OnnxPrefix(bundle, tokens, values, () -> room.giveBack(places));
    }

    /**
     * Passes a prefix that all sequences share as it is, because the graph expands it. Different prefixes are copied side by
     * side.
     */
    @Override
    public void give(List<Prefix> prefixes, SessionInputs inputs) throws OrtException {
        OnnxPrefix first = (OnnxPrefix) prefixes.getFirst();
        boolean shared = prefixes.stream().allMatch(prefix -> prefix == first);
        for (int i = 0; i < names.size(); i++) {
            if (shared) {
                inputs.put(names.get(i), first.tensor(i));
            } else {
                copySideBySide(prefixes, i, inputs);
            }
        }
    }

    private void copySideBySide(List<Prefix> prefixes, int index, SessionInputs inputs) throws OrtException {
        long bytes = ((OnnxPrefix) prefixes.getFirst()).memory(index).byteSize();
        MemorySegment memory = inputs.allocate(bytes * prefixes.size());
        for (int row = 0; row < prefixes.size(); row++) {
            MemorySegment.copy(((OnnxPrefix) prefixes.get(row)).memory(index), 0, memory, row * bytes, bytes);
        }
        int tokens = prefixes.getFirst().tokens();
        inputs.add(
                names.get(index),
                memory,
                OnnxJavaType.FLOAT,
                prefixes.size(),
                bundle.kvHeads(),
                tokens,
                bundle.headDim());
    }

    /** Passes no prefix. */
    public static void giveNone(Bundle bundle, SessionInputs inputs) throws OrtException {
        List<String> names = names(bundle, "past_key_values.");
        OnnxTensor empty = inputs.add(
                names.getFirst(), inputs.allocate(0), OnnxJavaType.FLOAT, 1, bundle.kvHeads(), 0, bundle.headDim());
        names.forEach(name -> inputs.put(name, empty));
    }

    @Override
    public void close() {}
}
