package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.OrtSession.SessionOptions.OptLevel;
import io.softcall.inference.cuda.Cuda;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.task.SoftPrompt;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * One variant's trunk in an ONNX Runtime session. docs/base-bundle.md has shapes and names. Safe for use by several threads.
 */
public final class Trunk implements AutoCloseable {

    private static final String IDS = "input_ids";
    private static final String PROMPT = "prompt_embeds";
    private static final String LAST = "last_index";
    private static final String HIDDEN = "hidden";

    private final Bundle bundle;
    private final Bundle.Variant variant;
    private final Path graph;
    private final OrtEnvironment environment = OnnxRuntime.environment();
    private final OrtSession session;
    private final KeyOrder keyOrder;
    private final List<String> presentNames;
    /**
     * Forward passes hold the read lock. Closing takes the write lock, because closing a session in use would crash the
     * process.
     */
    private final ReentrantReadWriteLock inUse = new ReentrantReadWriteLock();

    /** The options in which the ways of opening a session differ. */
    private interface Settings {
        void apply(SessionOptions options) throws OrtException;
    }

    private Trunk(Bundle bundle, Bundle.Variant variant, SessionResources resources, Path graph, Settings settings) {
        this.bundle = bundle;
        this.variant = variant;
        this.graph = graph;
        this.presentNames = LayerPrefixes.names(bundle, "present.");
        try (SessionOptions options = new SessionOptions()) {
            options.setIntraOpNumThreads(resources.threads());
            options.addConfigEntry("session.intra_op.allow_spinning", resources.spinMicros() > 0 ? "1" : "0");
            options.addConfigEntry("session.intra_op.spin_duration_us", Integer.toString(resources.spinMicros()));
            options.setCPUArenaAllocator(resources.keepMemory());
            // Lengths differ between forward passes, so the memory plan of one does not fit the next.
            options.setMemoryPatternOptimization(false);
            settings.apply(options);
            this.session = environment.createSession(graph.toString(), options);
            this.keyOrder = KeyOrder.of(session.getMetadata());
        } catch (OrtException e) {
            throw new IllegalStateException("cannot open the trunk %s: %s".formatted(graph, e.getMessage()), e);
        }
    }

    /** Opens a trunk, and packs its weights in memory for the processor. Opening is slow, forward passes are fast. */
    static Trunk packed(Bundle bundle, Bundle.Variant variant, SessionResources resources) {
        return new Trunk(bundle, variant, resources, variant.graph(), options -> {});
    }

    /**
     * Opens a trunk as {@link #packed} does, and also writes the packed weights beside {@code saved}, from where they can be
     * mapped.
     */
    static Trunk saving(Bundle bundle, Bundle.Variant variant, SessionResources resources, Path saved) {
        return new Trunk(bundle, variant, resources, variant.graph(), options -> {
            // ONNX Runtime would warn that the file fits only this processor, which is intended.
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
            options.setOptimizedModelFilePath(saved.toString());
            options.addConfigEntry("session.save_external_prepacked_constant_initializers", "1");
            options.addConfigEntry("session.optimized_model_external_initializers_file_name", PackedWeights.WEIGHTS);
        });
    }

    /** Opens a trunk from the packed weights that {@link #saving} wrote, and maps them. */
    static Trunk saved(Bundle bundle, Bundle.Variant variant, SessionResources resources, Path saved) {
        return new Trunk(bundle, variant, resources, saved, options -> options.setOptimizationLevel(OptLevel.NO_OPT));
    }

    /**
     * Opens a trunk with the weights mapped as they are stored. Opening is fast and takes no extra memory, forward passes are
     * slower.
     */
    static Trunk mapped(Bundle bundle, Bundle.Variant variant, SessionResources resources) {
        return new Trunk(
                bundle,
                variant,
                resources,
                variant.graph(),
                options -> options.addConfigEntry("session.disable_prepacking", "1"));
    }

    /** Opens the served variant on a GPU, and checks the golden row there. */
    public static Trunk on(Cuda cuda, Bundle bundle, SessionResources resources) {
        return new Trunk(bundle, bundle.served(), resources, bundle.served().graph(), cuda::configure).checked();
    }

    /** Returns whether the graph takes prefixes as pages of a table. */
    public boolean isPaged() {
        return PagedPrefixes.wantedBy(session.getInputNames());
    }

    /** Returns the order in which the graph takes keys from pages. */
    public KeyOrder keyOrder() {
        return keyOrder;
    }

    /**
     * Computes a prompt's KV cache. The caller owns the only reference.
     *
     * @param form the form in which the served trunk takes prefixes
     */
    Prefix encode(SoftPrompt prompt, PrefixForm form) {
        if (prompt.tokens() >= bundle.maxPositions()) {
            throw new IllegalArgumentException(
                    "a prompt of %d tokens leaves no position for text".formatted(prompt.tokens()));
        }
        try (SessionInputs inputs = new SessionInputs()) {
            inputs.longs(IDS, new long[0], 1, 0);
            inputs.floats(PROMPT, prompt.values(), 1, prompt.tokens(), bundle.hiddenSize());
            inputs.longs(LAST, new long[] {prompt.tokens() - 1L}, 1);
            putNoPrefix(inputs);
            try (OrtSession.Result result = run(inputs, Set.copyOf(presentNames))) {
                return form.keep(
                        prompt.tokens(), (i, to) -> to.put(present(result, i).getFloatBuffer()));
            }
        } catch (OrtException e) {
            throw new IllegalStateException("encoding a prompt failed: " + e.getMessage(), e);
        }
    }

    private void putNoPrefix(SessionInputs inputs) throws OrtException {
        if (isPaged()) {
            PagedPrefixes.giveNone(bundle, inputs);
        } else {
            LayerPrefixes.giveNone(bundle, inputs);
        }
    }

    private OnnxTensor present(OrtSession.Result result, int index) {
        return (OnnxTensor) result.get(presentNames.get(index)).orElseThrow();
    }

    /**
     * Computes a batch as {@link Model#forward} does.
     *
     * @param device the device that computes, which decides on the padding
     * @param form the form of the prefixes
     */
    float[][] forward(List<Model.Sequence> batch, Device device, PrefixForm form) {
        int longest = 0;
        for (Model.Sequence sequence : batch) {
            checkSequence(sequence, batch.getFirst().prefix().tokens());
            longest = Math.max(longest, sequence.ids().length);
        }
        int length = device.tokens(longest);
        int rows = device.rows(batch.size());
        long[] ids = new long[rows * length];
        long[] last = new long[rows];
        List<Prefix> prefixes =
                new ArrayList<>(Collections.nCopies(rows, batch.getFirst().prefix()));
        for (int row = 0; row < batch.size(); row++) {
            Model.Sequence sequence = batch.get(row);
            System.arraycopy(sequence.ids(), 0, ids, row * length, sequence.ids().length);
            last[row] = sequence.ids().length - 1L;
            prefixes.set(row, sequence.prefix());
        }
        try (SessionInputs inputs = new SessionInputs()) {
            inputs.longs(IDS, ids, rows, length);
            inputs.floats(PROMPT, new float[0], rows, 0, bundle.hiddenSize());
            inputs.longs(LAST, last, rows);
            form.give(prefixes, inputs);
            try (OrtSession.Result result = run(inputs, Set.of(HIDDEN))) {
                float[][] hidden = (float[][]) result.get(HIDDEN).orElseThrow().getValue();
                return Arrays.copyOf(hidden, batch.size());
            }
        } catch (OrtException e) {
            throw ForwardFailure.of(batch.size(), e);
        }
    }

    private OrtSession.Result run(SessionInputs inputs, Set<String> outputs) throws OrtException {
        inUse.readLock().lock();
        try {
            return session.run(inputs.tensors(), outputs);
        } finally {
            inUse.readLock().unlock();
        }
    }

    /** Checks what the graph does not check. A position out of range would silently read the neighbouring sequence. */
    private void checkSequence(Model.Sequence sequence, int prefixTokens) {
        if (sequence.ids().length == 0) {
            throw new IllegalArgumentException("a sequence has no tokens");
        }
        if (sequence.prefix().tokens() != prefixTokens) {
            throw new IllegalArgumentException("prefixes of %d and %d tokens cannot share a batch"
                    .formatted(prefixTokens, sequence.prefix().tokens()));
        }
        if (prefixTokens + sequence.ids().length > bundle.maxPositions()) {
            throw new IllegalArgumentException("%d prompt and %d text tokens exceed the base's %d positions"
                    .formatted(prefixTokens, sequence.ids().length, bundle.maxPositions()));
        }
    }

    /** Returns this trunk if it reproduces the golden row; closes it and throws otherwise. */
    Trunk checked() {
        try {
            checkGolden();
            return this;
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** @throws IllegalStateException if the trunk does not compute what PyTorch computed */
    private void checkGolden() {
        Bundle.Golden golden = variant.golden();
        int prompt = golden.promptEmbeds().length;
        float[] embeds = new float[prompt * bundle.hiddenSize()];
        for (int token = 0; token < prompt; token++) {
            System.arraycopy(golden.promptEmbeds()[token], 0, embeds, token * bundle.hiddenSize(), bundle.hiddenSize());
        }
        float[] hidden;
        try (SessionInputs inputs = new SessionInputs()) {
            inputs.longs(IDS, golden.inputIds(), 1, golden.inputIds().length);
            inputs.floats(PROMPT, embeds, 1, prompt, bundle.hiddenSize());
            inputs.longs(LAST, new long[] {prompt + golden.inputIds().length - 1L}, 1);
            putNoPrefix(inputs);
            try (OrtSession.Result result = run(inputs, Set.of(HIDDEN))) {
                hidden = ((float[][]) result.get(HIDDEN).orElseThrow().getValue())[0];
            }
        } catch (OrtException e) {
            throw new IllegalStateException("the trunk %s does not compute: %s".formatted(graph, e.getMessage()), e);
        }
        double scale = 0;
        double difference = 0;
        for (int i = 0; i < hidden.length; i++) {
            scale = Math.max(scale, Math.abs(golden.hidden()[i]));
            // Math.max is not used, so that a NaN is kept and fails the check.
            double here = Math.abs((double) hidden[i] - golden.hidden()[i]);
            difference = here <= difference ? difference : here;
        }
        if (!(difference <= golden.tolerance() * scale)) {
            throw new IllegalStateException(
                    "the trunk %s computes a hidden row that differs from the golden row by %.3g, and at most %.3g is allowed:"
                                    .formatted(graph, difference, golden.tolerance() * scale)
                            + " the weights are damaged, or ONNX Runtime computes wrongly on this processor");
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
}
