package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxTensor;
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
import io.softcall.inference.onnx.prefix.KeyOrder;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.PagedPrefixes;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.inference.onnx.prefix.Present;
import io.softcall.inference.onnx.session.ForwardFailure;
import io.softcall.inference.onnx.session.Session;
import io.softcall.inference.onnx.session.SessionInputs;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.SoftPrompt;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;

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
    private final Session session;
    private final KeyOrder keyOrder;
    private final List<String> presentNames;

    /** The options in which the ways of opening a session differ. */
    private interface Settings {
        void apply(SessionOptions options) throws OrtException;
    }

    private Trunk(Bundle bundle, Bundle.Variant variant, SessionResources resources, Path graph, Settings settings) {
        this.bundle = bundle;
        this.variant = variant;
        this.graph = graph;
        this.presentNames = LayerPrefixes.names(bundle, "present.");
        this.session = new Session(graph.toString(), resources, options -> {
            settings.apply(options);
            return OnnxRuntime.environment().createSession(graph.toString(), options);
        });
        try {
            this.keyOrder = KeyOrder.of(session.metadata());
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
        return PagedPrefixes.wantedBy(session.inputs());
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
            try (OrtSession.Result result = session.run(inputs, Set.copyOf(presentNames))) {
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
            if (batch.stream().anyMatch(sequence -> sequence.kept().isPresent())) {
                return forwardAndKeep(batch, inputs, length);
            }
            try (OrtSession.Result result = session.run(inputs, Set.of(HIDDEN))) {
                return Arrays.copyOf(hidden(result), batch.size());
            }
        } catch (OrtException e) {
            throw ForwardFailure.of(batch.size(), e);
        }
    }

    /** Computes a batch of which some sequences keep their keys and values. */
    private float[][] forwardAndKeep(List<Model.Sequence> batch, SessionInputs inputs, int length) throws OrtException {
        int tokens = batch.getFirst().prefix().tokens() + length;
        try (Present present = new Present(bundle, presentNames, batch.size(), tokens);
                OrtSession.Result result = session.run(inputs, Set.of(HIDDEN), present.tensors())) {
            float[][] hidden = hidden(result);
            for (int row = 0; row < batch.size(); row++) {
                Model.Sequence sequence = batch.get(row);
                if (sequence.kept().isPresent()) {
                    int own = sequence.prefix().tokens() + sequence.ids().length;
                    sequence.kept().get().accept(present.take(row, own));
                }
            }
            return hidden;
        }
    }

    private static float[][] hidden(OrtSession.Result result) throws OrtException {
        return (float[][]) result.get(HIDDEN).orElseThrow().getValue();
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
        try (SessionInputs inputs = goldenInputs(golden.inputIds());
                OrtSession.Result result = session.run(inputs, Set.of(HIDDEN))) {
            golden.requireHidden(hidden(result)[0], graph.toString());
        } catch (OrtException e) {
            throw new IllegalStateException("the trunk %s does not compute: %s".formatted(graph, e.getMessage()), e);
        }
    }

    /** Returns the keys and values of the golden row without its last token. The caller owns the only reference. */
    Prefix goldenBeforeLast() {
        Bundle.Golden golden = variant.golden();
        long[] ids = Arrays.copyOf(golden.inputIds(), golden.inputIds().length - 1);
        int tokens = golden.promptEmbeds().length + ids.length;
        try (SessionInputs inputs = goldenInputs(ids);
                Present present = new Present(bundle, presentNames, 1, tokens)) {
            session.run(inputs, Set.of(), present.tensors()).close();
            return present.take(0, tokens);
        } catch (OrtException e) {
            throw new IllegalStateException("the trunk %s does not compute: %s".formatted(graph, e.getMessage()), e);
        }
    }

    private SessionInputs goldenInputs(long[] ids) throws OrtException {
        float[][] rows = variant.golden().promptEmbeds();
        float[] embeds = new float[rows.length * bundle.hiddenSize()];
        for (int token = 0; token < rows.length; token++) {
            System.arraycopy(rows[token], 0, embeds, token * bundle.hiddenSize(), bundle.hiddenSize());
        }
        SessionInputs inputs = new SessionInputs();
        inputs.longs(IDS, ids, 1, ids.length);
        inputs.floats(PROMPT, embeds, 1, rows.length, bundle.hiddenSize());
        inputs.longs(LAST, new long[] {rows.length + ids.length - 1L}, 1);
        putNoPrefix(inputs);
        return inputs;
    }

    @Override
    public void close() {
        session.close();
    }
}
