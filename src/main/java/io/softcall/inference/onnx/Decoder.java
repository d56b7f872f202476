package io.softcall.inference.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession.SessionOptions;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.session.GraphFile;
import io.softcall.inference.onnx.session.Session;
import io.softcall.inference.onnx.session.SessionInputs;
import io.softcall.inference.onnx.session.SessionResources;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * The graphs that write text: one computes a hidden row from a token and the keys and values before it, the other one the
 * logits of a hidden row. Safe for use by several threads.
 */
public final class Decoder implements AutoCloseable {

    private static final String IDS = "input_ids";
    private static final String LENGTHS = "seqlens_k";
    private static final String TOTAL = "total_sequence_length";
    private static final String HIDDEN = "hidden";
    private static final String LOGITS = "logits";

    /** Names the folder of the weights of a graph that comes as bytes. */
    private static final String WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path";

    private final Bundle bundle;
    private final Bundle.DecodingGraphs graphs;
    private final Session decode;
    private final Session head;

    private Decoder(Bundle bundle, Bundle.DecodingGraphs graphs, Session decode, Session head) {
        this.bundle = bundle;
        this.graphs = graphs;
        this.decode = decode;
        this.head = head;
    }

    /**
     * Opens the graphs of the served variant. If the packed weights of its trunk were saved, decoding uses them where they are
     * mapped, and packs nothing.
     *
     * @param resources those of one of several concurrent batches
     * @throws IllegalStateException if a graph cannot be opened
     */
    public static Decoder open(Bundle bundle, PackedWeights packed, SessionResources resources) {
        Bundle.DecodingGraphs graphs = bundle.served().decoding().orElseThrow();
        Session decode = packed.savedGraph()
                .map(trunk -> sharing(graphs.decode(), trunk, resources))
                .orElseGet(() -> plain(graphs.decode(), resources));
        try {
            return new Decoder(bundle, graphs, decode, plain(graphs.lmHead(), resources));
        } catch (RuntimeException e) {
            decode.close();
            throw e;
        }
    }

    private static Session plain(Path graph, SessionResources resources) {
        return new Session(graph.toString(), resources, options -> OnnxRuntime.environment()
                .createSession(graph.toString(), options));
    }

    private static Session sharing(Path graph, Path trunk, SessionResources resources) {
        byte[] bytes;
        try {
            bytes = new GraphFile(Files.readAllBytes(graph))
                    .withInitializersOf(new GraphFile(Files.readAllBytes(trunk)))
                    .bytes();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read the graph %s or %s".formatted(graph, trunk), e);
        }
        return new Session(graph.toString(), resources, options -> {
            options.addConfigEntry(WEIGHTS_FOLDER, trunk.getParent().toString());
            options.setOptimizationLevel(SessionOptions.OptLevel.EXTENDED_OPT);
            return OnnxRuntime.environment().createSession(bytes, options);
        });
    }

    Bundle bundle() {
        return bundle;
    }

    /**
     * Computes one token of each sequence.
     *
     * @param past the keys and values, [sequences, kv_heads, positions, head_dim] each, to which the token's are appended
     * @param present the same tensors by the names of the outputs
     * @param hidden gets the hidden rows, [sequences, hidden]
     */
    void decode(
            long[] ids, int[] lengths, Map<String, OnnxTensor> past, Map<String, OnnxTensor> present, OnnxTensor hidden)
            throws OrtException {
        try (SessionInputs inputs = new SessionInputs()) {
            inputs.longs(IDS, ids, ids.length, 1);
            inputs.ints(LENGTHS, lengths, lengths.length);
            inputs.ints(TOTAL, new int[] {Arrays.stream(lengths).max().orElseThrow() + 1});
            past.forEach(inputs::put);
            Map<String, OnnxTensor> outputs = new HashMap<>(present);
            outputs.put(HIDDEN, hidden);
            decode.run(inputs, Set.of(), outputs).close();
        }
    }

    /** @param hidden [sequences, hidden] @param logits gets [sequences, vocabulary] */
    void logits(OnnxTensor hidden, OnnxTensor logits) throws OrtException {
        try (SessionInputs inputs = new SessionInputs()) {
            inputs.put(HIDDEN, hidden);
            head.run(inputs, Set.of(), Map.of(LOGITS, logits)).close();
        }
    }

    /**
     * Checks the last token of the golden row, and the logits behind it.
     *
     * @param before the keys and values of the golden row without its last token
     * @throws IllegalStateException if decoding does not compute what PyTorch computed
     */
    void checkGolden(Prefix before) {
        Bundle.Golden golden = bundle.served().golden();
        long last = golden.inputIds()[golden.inputIds().length - 1];
        try (DecodingPlaces places = new DecodingPlaces(this, 1, before.tokens() + 1)) {
            places.put(0, before);
            float[] logits = places.step(new long[] {last}, new int[] {before.tokens()});
            golden.requireHidden(places.hidden(0), graphs.decode().toString());
            graphs.golden().requireLogits(logits, graphs.lmHead().toString());
        }
    }

    @Override
    public void close() {
        decode.close();
        head.close();
    }
}
