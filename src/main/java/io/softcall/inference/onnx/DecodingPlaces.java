package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import io.softcall.inference.memory.LazyMemory;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Decoding;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.OnnxPrefix;
import io.softcall.inference.onnx.session.ForwardFailure;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Places whose keys and values lie in {@link LazyMemory}: the keys or values of a layer are [places, kv_heads, positions,
 * head_dim], of which only the tokens that are there take memory. So all sequences share a batch, whatever their lengths, and
 * none is copied because it grows.
 */
final class DecodingPlaces implements Decoding {

    private final Decoder decoder;
    private final Bundle bundle;
    private final int positions;
    private final List<String> pastNames;
    private final List<String> presentNames;
    private final LazyMemory memory;
    /** The bytes of the keys or values of one layer, of all places. */
    private final long layerBytes;
    /** The bytes of one place in them. */
    private final long placeBytes;

    /** Hidden rows, and logits behind them, of as many places as are in use. */
    private final LazyMemory outputs;

    private final MemorySegment hidden;
    private final MemorySegment logits;
    private float[] logitsOnHeap = {};
    /** The tensors over the first places, by their number. */
    private final Map<Integer, Tensors> tensors = new HashMap<>();

    /** The tensors over the first places. */
    private record Tensors(
            Map<String, OnnxTensor> past, Map<String, OnnxTensor> present, OnnxTensor hidden, OnnxTensor logits) {

        void close() {
            past.values().forEach(OnnxTensor::close);
            hidden.close();
            logits.close();
        }
    }

    DecodingPlaces(Decoder decoder, int places, int positions) {
        this.decoder = decoder;
        this.bundle = decoder.bundle();
        this.positions = positions;
        this.pastNames = LayerPrefixes.names(bundle, "past_key_values.");
        this.presentNames = LayerPrefixes.names(bundle, "present.");
        this.placeBytes = (long) bundle.kvHeads() * headBytes(positions);
        this.layerBytes = places * placeBytes;
        this.memory = new LazyMemory(layerBytes * pastNames.size());
        long hiddenBytes = (long) places * bundle.hiddenSize() * Float.BYTES;
        this.outputs = new LazyMemory(hiddenBytes + (long) places * bundle.vocabulary() * Float.BYTES);
        this.hidden = outputs.segment().asSlice(0, hiddenBytes);
        this.logits = outputs.segment().asSlice(hiddenBytes);
    }

    private long headBytes(int tokens) {
        return (long) tokens * bundle.headDim() * Float.BYTES;
    }

    /** Returns where a head's keys or values of a place begin. */
    private long offset(int index, int place, int head) {
        return index * layerBytes + place * placeBytes + head * headBytes(positions);
    }

    @Override
    public int vocabulary() {
        return bundle.vocabulary();
    }

    @Override
    public void put(int place, Prefix past) {
        OnnxPrefix from = (OnnxPrefix) past;
        long bytes = headBytes(from.tokens());
        for (int index = 0; index < pastNames.size(); index++) {
            for (int head = 0; head < bundle.kvHeads(); head++) {
                MemorySegment.copy(
                        from.memory(index), head * bytes, memory.segment(), offset(index, place, head), bytes);
            }
        }
    }

    @Override
    public void move(int from, int to, int tokens) {
        for (int index = 0; index < pastNames.size(); index++) {
            for (int head = 0; head < bundle.kvHeads(); head++) {
                MemorySegment.copy(
                        memory.segment(),
                        offset(index, from, head),
                        memory.segment(),
                        offset(index, to, head),
                        headBytes(tokens));
            }
        }
    }

    @Override
    public Prefix copy(int place, int tokens) {
        long bytes = headBytes(tokens);
        try {
            return new OnnxPrefix(
                    bundle,
                    tokens,
                    (index, to) -> {
                        MemorySegment segment = MemorySegment.ofBuffer(to);
                        for (int head = 0; head < bundle.kvHeads(); head++) {
                            MemorySegment.copy(
                                    memory.segment(), offset(index, place, head), segment, head * bytes, bytes);
                        }
                    },
                    () -> {});
        } catch (OrtException e) {
            throw new IllegalStateException("copying a place failed: " + e.getMessage(), e);
        }
    }

    @Override
    public void clear(int place) {
        for (int index = 0; index < pastNames.size(); index++) {
            memory.release(offset(index, place, 0), placeBytes);
        }
    }

    @Override
    public float[] step(long[] ids, int[] lengths) {
        try {
            Tensors first = tensors(ids.length);
            decoder.decode(ids, lengths, first.past(), first.present(), first.hidden());
            return logits(first, ids.length);
        } catch (OrtException e) {
            throw ForwardFailure.of(ids.length, e);
        }
    }

    @Override
    public float[] logits(List<float[]> rows) {
        for (int row = 0; row < rows.size(); row++) {
            MemorySegment.copy(
                    rows.get(row),
                    0,
                    hidden,
                    ValueLayout.JAVA_FLOAT,
                    (long) row * bundle.hiddenSize() * Float.BYTES,
                    bundle.hiddenSize());
        }
        try {
            return logits(tensors(rows.size()), rows.size());
        } catch (OrtException e) {
            throw ForwardFailure.of(rows.size(), e);
        }
    }

    private float[] logits(Tensors first, int rows) throws OrtException {
        decoder.logits(first.hidden(), first.logits());
        if (logitsOnHeap.length < rows * bundle.vocabulary()) {
            logitsOnHeap = new float[rows * bundle.vocabulary()];
        }
        MemorySegment.copy(logits, ValueLayout.JAVA_FLOAT, 0, logitsOnHeap, 0, rows * bundle.vocabulary());
        return logitsOnHeap;
    }

    /** Returns the hidden row of the latest step in a place, [hidden]. */
    float[] hidden(int place) {
        float[] row = new float[bundle.hiddenSize()];
        long offset = (long) place * bundle.hiddenSize() * Float.BYTES;
        MemorySegment.copy(hidden, ValueLayout.JAVA_FLOAT, offset, row, 0, row.length);
        return row;
    }

    private Tensors tensors(int places) throws OrtException {
        Tensors known = tensors.get(places);
        if (known != null) {
            return known;
        }
        Map<String, OnnxTensor> past = new HashMap<>();
        Map<String, OnnxTensor> present = new HashMap<>();
        for (int index = 0; index < pastNames.size(); index++) {
            OnnxTensor tensor = tensor(
                    memory.segment().asSlice(index * layerBytes, places * placeBytes),
                    places,
                    bundle.kvHeads(),
                    positions,
                    bundle.headDim());
            past.put(pastNames.get(index), tensor);
            present.put(presentNames.get(index), tensor);
        }
        Tensors made = new Tensors(
                past,
                present,
                tensor(
                        hidden.asSlice(0, (long) places * bundle.hiddenSize() * Float.BYTES),
                        places,
                        bundle.hiddenSize()),
                tensor(
                        logits.asSlice(0, (long) places * bundle.vocabulary() * Float.BYTES),
                        places,
                        bundle.vocabulary()));
        tensors.put(places, made);
        return made;
    }

    private static OnnxTensor tensor(MemorySegment memory, long... shape) throws OrtException {
        return OnnxTensor.createTensor(
                OnnxRuntime.environment(),
                memory.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer(),
                shape);
    }

    @Override
    public void close() {
        tensors.values().forEach(Tensors::close);
        memory.close();
        outputs.close();
    }
}
