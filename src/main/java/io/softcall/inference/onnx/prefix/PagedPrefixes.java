package io.softcall.inference.onnx.prefix;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.session.SessionInputs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.Set;

/**
 * A table of pages in the memory of the device. A page holds the keys and values of one prompt token in half precision
 * (docs/cuda.md). A prefix is copied there once; a forward pass gets the numbers of its pages.
 */
public final class PagedPrefixes implements PrefixForm {

    private static final String TABLE = "kv_pages";
    private static final String INDEX = "prefix_pages";

    private final Bundle bundle;
    private final KeyOrder order;
    private final PageMemory memory;
    private final PrefixRoom room;
    /** The pages in use. Guarded by itself. */
    private final BitSet taken = new BitSet();

    /**
     * @param order the order in which the trunk takes keys
     * @param cacheBytes the memory for cached prefixes; an eighth is added for prefixes that were evicted while batches still
     *     use them, and at least one of the longest prefixes
     * @param longest the tokens of the longest prefix
     */
    public PagedPrefixes(Bundle bundle, KeyOrder order, long cacheBytes, int longest, PageMemory.Source source) {
        this.bundle = bundle;
        this.order = order;
        this.room = new PrefixRoom(cacheBytes / pageBytes(), Math.max(cacheBytes / 8 / pageBytes(), longest));
        this.memory = source.allocate(room.places(), 2L * bundle.layers(), bundle.kvHeads(), bundle.headDim());
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
            room.giveBack(own.length);
        }
    }

    @Override
    public Prefix keep(int tokens, Source values) throws OrtException {
        PagedPrefix prefix = new PagedPrefix(take(tokens));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment contents = pages(tokens, values, arena);
            for (int token = 0; token < tokens; token++) {
                memory.write(prefix.own[token] * pageBytes(), contents.asSlice(token * pageBytes(), pageBytes()));
            }
            return prefix;
        } catch (OutOfMemoryError e) {
            prefix.release();
            throw new SoftcallException(
                    Reason.OUT_OF_MEMORY, "there is no memory for a prefix of %,d bytes".formatted(prefix.bytes()), e);
        } catch (OrtException | RuntimeException | Error e) {
            prefix.release();
            throw e;
        }
    }

    private int[] take(int tokens) {
        room.take(tokens);
        synchronized (taken) {
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

    /**
     * Rearranges [kv_heads, tokens, head_dim] of each layer's keys and values into a page for each token, with keys in the
     * trunk's order.
     */
    private MemorySegment pages(int tokens, Source values, Arena arena) throws OrtException {
        MemorySegment contents = arena.allocate(tokens * pageBytes(), Short.BYTES);
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
                        contents.setAtIndex(
                                ValueLayout.JAVA_SHORT,
                                to + order.place(d, bundle.headDim()),
                                Float.floatToFloat16(value));
                    }
                }
            }
        }
        return contents;
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

    /** Returns whether a graph takes prefixes in this form. */
    public static boolean wantedBy(Set<String> inputNames) {
        return inputNames.contains(TABLE);
    }

    /** Passes no prefix. */
    public static void giveNone(Bundle bundle, SessionInputs inputs) throws OrtException {
        MemorySegment page = inputs.allocate(2L * bundle.layers() * bundle.kvHeads() * bundle.headDim() * Short.BYTES);
        inputs.add(TABLE, page, OnnxJavaType.FLOAT16, 1, 2L * bundle.layers(), bundle.kvHeads(), bundle.headDim());
        inputs.longs(INDEX, new long[0], 1, 0);
    }

    /** Returns the number of pages in use. */
    public int taken() {
        return room.taken();
    }

    @Override
    public void close() {
        memory.close();
    }
}
