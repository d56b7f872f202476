package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.Set;

/**
 * A table in the memory of whatever computes, in which a page holds one prompt token's keys and values in half precision
 * (docs/cuda.md). A prefix is copied there once; a run is told page numbers.
 */
public final class PagedPrefixes implements PrefixForm {

    private static final String TABLE = "kv_pages";
    private static final String INDEX = "prefix_pages";

    private final Bundle bundle;
    private final KeyOrder order;
    private final PageMemory memory;
    private final int pages;
    /** Pages in use. Guarded by itself. */
    private final BitSet taken = new BitSet();

    /**
     * @param order of the trunk that takes them
     * @param cacheBytes for prefixes in the cache; an eighth more is for those that have left it while rows run behind them
     */
    public PagedPrefixes(Bundle bundle, KeyOrder order, long cacheBytes, PageMemory.Source source) {
        this.bundle = bundle;
        this.order = order;
        this.pages = Math.toIntExact((cacheBytes + cacheBytes / 8) / pageBytes());
        this.memory = source.allocate(pages, 2L * bundle.layers(), bundle.kvHeads(), bundle.headDim());
    }

    private long pageBytes() {
        return 2L * bundle.layers() * bundle.kvHeads() * bundle.headDim() * Short.BYTES;
    }

    private final class PagedPrefix extends Prefix {

        private final int[] own;

        PagedPrefix(int[] own) {
            super(own.length, own.length * pageBytes());
            this.own = own;
        }

        @Override
        protected void free() {
            synchronized (taken) {
                for (int page : own) {
                    taken.clear(page);
                }
            }
        }
    }

    /** @throws SoftcallException {@code OUT_OF_MEMORY} when so many pages are not free */
    @Override
    public Prefix keep(int tokens, Source values) throws OrtException {
        PagedPrefix prefix = new PagedPrefix(take(tokens));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment rows = rows(tokens, values, arena);
            for (int token = 0; token < tokens; token++) {
                memory.write(prefix.own[token] * pageBytes(), rows.asSlice(token * pageBytes(), pageBytes()));
            }
            return prefix;
        } catch (OrtException | RuntimeException e) {
            prefix.release();
            throw e;
        }
    }

    private int[] take(int tokens) {
        synchronized (taken) {
            if (taken.cardinality() + tokens > pages) {
                throw new SoftcallException(
                        Reason.OUT_OF_MEMORY,
                        "%d pages for a prefix are not free: %d of %d are taken (softcall.prefix.cache-bytes)"
                                .formatted(tokens, taken.cardinality(), pages));
            }
            int[] own = new int[tokens];
            int page = -1;
            for (int token = 0; token < tokens; token++) {
                page = taken.nextClearBit(page + 1);
                taken.set(page);
                own[token] = page;
            }
            return own;
        }
    }

    /** From [kv_heads, tokens, head_dim] for each key and value to a page for each token, keys in the trunk's order. */
    private MemorySegment rows(int tokens, Source values, Arena arena) throws OrtException {
        MemorySegment rows = arena.allocate(tokens * pageBytes(), Short.BYTES);
        FloatBuffer part = FloatBuffer.allocate(bundle.kvHeads() * tokens * bundle.headDim());
        for (int i = 0; i < 2 * bundle.layers(); i++) {
            values.copy(i, part.clear());
            KeyOrder order = i % 2 == 0 ? this.order : KeyOrder.HALVES;
            for (int head = 0; head < bundle.kvHeads(); head++) {
                for (int token = 0; token < tokens; token++) {
                    long to =
                            token * pageBytes() / Short.BYTES + ((long) i * bundle.kvHeads() + head) * bundle.headDim();
                    for (int d = 0; d < bundle.headDim(); d++) {
                        float value = part.get((head * tokens + token) * bundle.headDim() + d);
                        rows.setAtIndex(
                                ValueLayout.JAVA_SHORT,
                                to + order.place(d, bundle.headDim()),
                                Float.floatToFloat16(value));
                    }
                }
            }
        }
        return rows;
    }

    @Override
    public void give(List<Prefix> prefixes, SessionInputs inputs) throws OrtException {
        int tokens = prefixes.getFirst().tokens();
        long[] index = new long[prefixes.size() * tokens];
        for (int row = 0; row < prefixes.size(); row++) {
            int[] own = ((PagedPrefix) prefixes.get(row)).own;
            for (int token = 0; token < tokens; token++) {
                index[row * tokens + token] = own[token];
            }
        }
        inputs.put(TABLE, memory.tensor());
        inputs.longs(INDEX, index, prefixes.size(), tokens);
    }

    /** Whether a graph takes prefixes in this form. */
    static boolean wantedBy(Set<String> inputNames) {
        return inputNames.contains(TABLE);
    }

    /** Gives a run no prefix. */
    static void giveNone(Bundle bundle, SessionInputs inputs) throws OrtException {
        MemorySegment page = inputs.allocate(2L * bundle.layers() * bundle.kvHeads() * bundle.headDim() * Short.BYTES);
        inputs.add(TABLE, page, OnnxJavaType.FLOAT16, 1, 2L * bundle.layers(), bundle.kvHeads(), bundle.headDim());
        inputs.longs(INDEX, new long[0], 1, 0);
    }

    /** Pages in use. */
    int taken() {
        synchronized (taken) {
            return taken.cardinality();
        }
    }

    @Override
    public void close() {
        memory.close();
    }
}
