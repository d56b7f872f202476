package io.softcall.inference;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.OrtSession.SessionOptions.OptLevel;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/** One variant's trunk in an ONNX Runtime session. Shapes and names: docs/base-bundle.md. Safe for use by several threads. */
final class Trunk implements AutoCloseable {

    private static final String HIDDEN = "hidden";

    private final Bundle bundle;
    private final Bundle.Variant variant;
    private final Path graph;
    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession session;
    private final List<String> pastNames;
    private final List<String> presentNames;
    /** Runs share it; closing takes it alone, because closing a session under a run would crash the process. */
    private final ReentrantReadWriteLock inUse = new ReentrantReadWriteLock();

    /**
     * What runs may use.
     *
     * @param threads that share one run; 0: one a core
     * @param spinMicros how long each spins for its next piece of work before it sleeps; 0: not at all
     * @param keepMemory whether the memory of a run stays for the next
     */
    record Means(int threads, int spinMicros, boolean keepMemory) {}

    /** What ways of opening a session differ in. */
    private interface Settings {
        void apply(SessionOptions options) throws OrtException;
    }

    private Trunk(Bundle bundle, Bundle.Variant variant, Means means, Path graph, Settings settings) {
        this.bundle = bundle;
        this.variant = variant;
        this.graph = graph;
        this.pastNames = cacheNames("past_key_values.");
        this.presentNames = cacheNames("present.");
        try (SessionOptions options = new SessionOptions()) {
            environment.setTelemetry(false);
            options.setIntraOpNumThreads(means.threads());
            options.addConfigEntry("session.intra_op.allow_spinning", means.spinMicros() > 0 ? "1" : "0");
            options.addConfigEntry("session.intra_op.spin_duration_us", Integer.toString(means.spinMicros()));
            options.setCPUArenaAllocator(means.keepMemory());
            // Lengths differ from run to run: a memory plan of the last one is of no use to the next.
            options.setMemoryPatternOptimization(false);
            settings.apply(options);
            this.session = environment.createSession(graph.toString(), options);
        } catch (OrtException e) {
            throw new IllegalStateException("cannot open the trunk %s: %s".formatted(graph, e.getMessage()), e);
        }
    }

    /** The weights are packed in memory as the processor wants them: runs are fast, opening takes a while. */
    static Trunk packed(Bundle bundle, Bundle.Variant variant, Means means) {
        return new Trunk(bundle, variant, means, variant.graph(), options -> {});
    }

    /** The same, and the packed weights are written to a file beside {@code saved}, from where they can be mapped. */
    static Trunk saving(Bundle bundle, Bundle.Variant variant, Means means, Path saved) {
        return new Trunk(bundle, variant, means, variant.graph(), options -> {
            // Else it warns that the file fits only this processor, which is what it is for.
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
            options.setOptimizedModelFilePath(saved.toString());
            options.addConfigEntry("session.save_external_prepacked_constant_initializers", "1");
            options.addConfigEntry("session.optimized_model_external_initializers_file_name", PackedWeights.WEIGHTS);
        });
    }

    /** What {@link #saving} wrote: packed weights, mapped. */
    static Trunk saved(Bundle bundle, Bundle.Variant variant, Means means, Path saved) {
        return new Trunk(bundle, variant, means, saved, options -> options.setOptimizationLevel(OptLevel.NO_OPT));
    }

    /** The weights as they are stored, mapped: open at once and without memory of its own, slower a run. */
    static Trunk mapped(Bundle bundle, Bundle.Variant variant, Means means) {
        return new Trunk(
                bundle,
                variant,
                means,
                variant.graph(),
                options -> options.addConfigEntry("session.disable_prepacking", "1"));
    }

    private List<String> cacheNames(String start) {
        List<String> names = new ArrayList<>();
        for (int layer = 0; layer < bundle.layers(); layer++) {
            names.add(start + layer + ".key");
            names.add(start + layer + ".value");
        }
        return List.copyOf(names);
    }

    /** Computes a prompt's KV cache. The caller owns the one reference. */
    Prefix encode(Prompt prompt) {
        if (prompt.tokens() >= bundle.maxPositions()) {
            throw new IllegalArgumentException(
                    "a prompt of %d tokens leaves no position for text".formatted(prompt.tokens()));
        }
        try (Inputs inputs = new Inputs()) {
            inputs.ids(new long[1][0], 0);
            inputs.prompt(prompt.values(), 1, prompt.tokens());
            inputs.lastIndex(prompt.tokens() - 1);
            inputs.noPast();
            try (OrtSession.Result result = run(inputs, Set.copyOf(presentNames))) {
                return new OnnxPrefix(
                        bundle,
                        prompt.tokens(),
                        (i, to) -> to.put(present(result, i).getFloatBuffer()));
            }
        } catch (OrtException e) {
            throw new IllegalStateException("encoding a prompt failed: " + e.getMessage(), e);
        }
    }

    private OnnxTensor present(OrtSession.Result result, int index) {
        return (OnnxTensor) result.get(presentNames.get(index)).orElseThrow();
    }

    /** The prefix that an artifact carries. The caller owns the one reference. */
    Prefix prefix(ReadyPrefix ready) {
        int tokens = ready.size() / (2 * bundle.layers() * bundle.kvHeads() * bundle.headDim());
        try {
            return new OnnxPrefix(bundle, tokens, (i, to) -> to.put(ready.floats(i * to.remaining(), to.remaining())));
        } catch (OrtException e) {
            throw new IllegalStateException("loading a prefix failed: " + e.getMessage(), e);
        }
    }

    /** As {@link Model#run}. */
    float[][] run(List<Model.Sequence> batch) {
        long[][] ids = new long[batch.size()][];
        long[] last = new long[batch.size()];
        List<OnnxPrefix> prefixes = new ArrayList<>();
        int longest = 0;
        for (int row = 0; row < ids.length; row++) {
            Model.Sequence sequence = batch.get(row);
            ids[row] = sequence.ids();
            last[row] = ids[row].length - 1L;
            longest = Math.max(longest, ids[row].length);
            prefixes.add((OnnxPrefix) sequence.prefix());
            checkRow(sequence, prefixes.getFirst().tokens());
        }
        try (Inputs inputs = new Inputs()) {
            inputs.ids(ids, longest);
            inputs.prompt(new float[0], ids.length, 0);
            inputs.lastIndex(last);
            inputs.past(prefixes);
            try (OrtSession.Result result = run(inputs, Set.of(HIDDEN))) {
                return (float[][]) result.get(HIDDEN).orElseThrow().getValue();
            }
        } catch (OrtException e) {
            throw new IllegalStateException("a run of %d rows failed: %s".formatted(ids.length, e.getMessage()), e);
        }
    }

    private OrtSession.Result run(Inputs inputs, Set<String> outputs) throws OrtException {
        inUse.readLock().lock();
        try {
            return session.run(inputs.tensors, outputs);
        } finally {
            inUse.readLock().unlock();
        }
    }

    /** What the graph does not check: a row out of range would silently read its neighbour. */
    private void checkRow(Model.Sequence sequence, int prefixTokens) {
        if (sequence.ids().length == 0) {
            throw new IllegalArgumentException("a row has no tokens");
        }
        if (sequence.prefix().tokens() != prefixTokens) {
            throw new IllegalArgumentException("prefixes of %d and %d tokens cannot share a run"
                    .formatted(prefixTokens, sequence.prefix().tokens()));
        }
        if (prefixTokens + sequence.ids().length > bundle.maxPositions()) {
            throw new IllegalArgumentException("%d prompt and %d text tokens exceed the base's %d positions"
                    .formatted(prefixTokens, sequence.ids().length, bundle.maxPositions()));
        }
    }

    /** @throws IllegalStateException when the trunk computes something else than PyTorch did */
    void checkGolden() {
        Bundle.Golden golden = variant.golden();
        int prompt = golden.promptEmbeds().length;
        float[] embeds = new float[prompt * bundle.hiddenSize()];
        for (int token = 0; token < prompt; token++) {
            System.arraycopy(golden.promptEmbeds()[token], 0, embeds, token * bundle.hiddenSize(), bundle.hiddenSize());
        }
        float[] hidden;
        try (Inputs inputs = new Inputs()) {
            inputs.ids(new long[][] {golden.inputIds()}, golden.inputIds().length);
            inputs.prompt(embeds, 1, prompt);
            inputs.lastIndex(prompt + golden.inputIds().length - 1L);
            inputs.noPast();
            try (OrtSession.Result result = run(inputs, Set.of(HIDDEN))) {
                hidden = ((float[][]) result.get(HIDDEN).orElseThrow().getValue())[0];
            }
        } catch (OrtException e) {
            throw new IllegalStateException("the trunk %s does not run: %s".formatted(graph, e.getMessage()), e);
        }
        double scale = 0;
        double difference = 0;
        for (int i = 0; i < hidden.length; i++) {
            scale = Math.max(scale, Math.abs(golden.hidden()[i]));
            // Not Math.max: a NaN must not pass.
            double here = Math.abs((double) hidden[i] - golden.hidden()[i]);
            difference = here <= difference ? difference : here;
        }
        if (!(difference <= golden.tolerance() * scale)) {
            throw new IllegalStateException(
                    "the trunk %s computes a hidden row that differs from the golden one by %.3g, allowed %.3g:"
                                    .formatted(graph, difference, golden.tolerance() * scale)
                            + " damaged weights, or a processor that ONNX Runtime serves wrongly");
        }
    }

    @Override
    public void close() {
        inUse.writeLock().lock();
        try {
            session.close();
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        } finally {
            inUse.writeLock().unlock();
        }
    }

    /** The input tensors of one run, and the memory under them. */
    private final class Inputs implements AutoCloseable {

        private final Arena arena = Arena.ofConfined();
        private final Map<String, OnnxTensorLike> tensors = new HashMap<>();
        private final List<OnnxTensor> owned = new ArrayList<>();

        /** Pads on the right with id 0: no real token ever sees what follows it. */
        void ids(long[][] rows, int length) throws OrtException {
            MemorySegment memory = arena.allocate(ValueLayout.JAVA_LONG, Math.max(1, (long) rows.length * length));
            for (int row = 0; row < rows.length; row++) {
                MemorySegment.copy(
                        rows[row],
                        0,
                        memory,
                        ValueLayout.JAVA_LONG,
                        (long) row * length * Long.BYTES,
                        rows[row].length);
            }
            longs("input_ids", memory, rows.length, length);
        }

        void lastIndex(long... positions) throws OrtException {
            longs("last_index", arena.allocateFrom(ValueLayout.JAVA_LONG, positions), positions.length);
        }

        void prompt(float[] values, int batch, int promptTokens) throws OrtException {
            MemorySegment memory = values.length == 0
                    ? arena.allocate(Float.BYTES)
                    : arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
            own("prompt_embeds", floatTensor(memory, values.length, batch, promptTokens, bundle.hiddenSize()));
        }

        void noPast() throws OrtException {
            OnnxTensor empty = floatTensor(arena.allocate(Float.BYTES), 0, 1, bundle.kvHeads(), 0, bundle.headDim());
            owned.add(empty);
            pastNames.forEach(name -> tensors.put(name, empty));
        }

        /** One prefix for all rows is passed as it is; the graph expands it. Several are laid side by side. */
        void past(List<OnnxPrefix> prefixes) throws OrtException {
            OnnxPrefix first = prefixes.getFirst();
            boolean shared = prefixes.stream().allMatch(prefix -> prefix == first);
            for (int i = 0; i < pastNames.size(); i++) {
                if (shared) {
                    tensors.put(pastNames.get(i), first.tensor(i));
                } else {
                    own(pastNames.get(i), sideBySide(prefixes, i));
                }
            }
        }

        private OnnxTensor sideBySide(List<OnnxPrefix> prefixes, int index) throws OrtException {
            long bytes = prefixes.getFirst().memory(index).byteSize();
            MemorySegment memory = arena.allocate(bytes * prefixes.size(), Float.BYTES);
            for (int row = 0; row < prefixes.size(); row++) {
                MemorySegment.copy(prefixes.get(row).memory(index), 0, memory, row * bytes, bytes);
            }
            return floatTensor(
                    memory,
                    memory.byteSize() / Float.BYTES,
                    prefixes.size(),
                    bundle.kvHeads(),
                    prefixes.getFirst().tokens(),
                    bundle.headDim());
        }

        private void longs(String name, MemorySegment memory, long... shape) throws OrtException {
            long elements = 1;
            for (long dimension : shape) {
                elements *= dimension;
            }
            var buffer = memory.asByteBuffer()
                    .order(ByteOrder.nativeOrder())
                    .asLongBuffer()
                    .limit((int) elements);
            own(name, OnnxTensor.createTensor(environment, buffer, shape));
        }

        private void own(String name, OnnxTensor tensor) {
            owned.add(tensor);
            tensors.put(name, tensor);
        }

        @Override
        public void close() {
            owned.forEach(OnnxTensor::close);
            arena.close();
        }
    }

    private OnnxTensor floatTensor(MemorySegment memory, long elements, long... shape) throws OrtException {
        var buffer = memory.asByteBuffer()
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer()
                .limit((int) elements);
        return OnnxTensor.createTensor(environment, buffer, shape);
    }
}
