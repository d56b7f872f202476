package io.softcall.inference.onnx;

import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Decoding;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.inference.onnx.session.SessionResources;
import io.softcall.task.ReadyPrefix;
import io.softcall.task.SoftPrompt;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * The base on ONNX Runtime. The served variant computes inputs. Prompts are always encoded at full precision: by the served
 * trunk if it has full precision, otherwise by another trunk that is open only while prompts come.
 */
public final class OnnxModel implements Model {

    private static final Logger LOG = Logger.getLogger(OnnxModel.class);

    private static final int WARM_PREFIX_TOKENS = 20;
    private static final int FIRST_WARM_TEXT_TOKENS = 8;
    private static final int LAST_WARM_TEXT_TOKENS = 64;
    private static final int LARGEST_WARM_BATCH = 256;

    private final Bundle bundle;
    private final PartitionedTrunk served;
    private final Device device;
    private final PrefixForm form;
    private final Optional<Encoder> encoder;
    private final Optional<Supplier<Decoder>> decoderOpening;
    /** Null until text is first written. Guarded by this object. */
    private Decoder decoder;

    private Optional<RecentFailure> decoderFailure = Optional.empty();

    /** Makes a model that does not decode. */
    public OnnxModel(
            Bundle bundle,
            PartitionedTrunk served,
            Device device,
            PrefixForm form,
            SessionResources resources,
            Duration encoderIdle) {
        this(bundle, served, device, form, resources, encoderIdle, Optional.empty());
    }

    /**
     * @param served the open trunk of the served variant, on {@code device}; closed with this model
     * @param form the form in which it takes prefixes; closed with this model
     * @param resources the resources of the trunk that encodes prompts
     * @param encoderIdle how long that trunk stays open after its last prompt
     * @param decoderOpening opens the graphs of decoding; empty if this model does not decode
     */
    public OnnxModel(
            Bundle bundle,
            PartitionedTrunk served,
            Device device,
            PrefixForm form,
            SessionResources resources,
            Duration encoderIdle,
            Optional<Supplier<Decoder>> decoderOpening) {
        this.bundle = bundle;
        this.served = served;
        this.device = device;
        this.form = form;
        this.decoderOpening = decoderOpening;
        this.encoder = bundle.encoder()
                .filter(variant -> !variant.equals(bundle.served()))
                .map(variant -> new Encoder(() -> Trunk.mapped(bundle, variant, resources), encoderIdle));
    }

    @Override
    public Bundle bundle() {
        return bundle;
    }

    @Override
    public Device device() {
        return device;
    }

    @Override
    public Prefix encode(SoftPrompt prompt) {
        if (bundle.encoder().isEmpty()) {
            throw new IllegalStateException("the bundle has no full-precision trunk");
        }
        return encoder.isPresent()
                ? encoder.get().encode(prompt, form)
                : served.whole().encode(prompt, form);
    }

    @Override
    public Prefix none() {
        return zeros(0);
    }

    @Override
    public Prefix load(ReadyPrefix ready) {
        try {
            return form.keep(ready.tokens(), (i, to) -> ready.copy(i * to.remaining(), to));
        } catch (OrtException e) {
            throw new IllegalStateException("loading a prefix failed: " + e.getMessage(), e);
        }
    }

    @Override
    public float[][] forward(List<Sequence> batch, boolean exclusive) {
        return served.forward(batch, exclusive, device, form);
    }

    /**
     * Computes batches of the usual shapes once, because on a GPU the first forward pass of a shape costs as much as several
     * others. Shapes for which the memory does not suffice are skipped; later batches of such a shape fail with
     * {@code OUT_OF_MEMORY}.
     *
     * @param bounds the bounds on batches
     */
    public void warmUp(Device.Batching bounds) {
        List<SoftcallException> refused = new ArrayList<>();
        Prefix prefix = zeros(WARM_PREFIX_TOKENS);
        try {
            for (Shape shape : warmShapes(bounds)) {
                try {
                    forward(Collections.nCopies(shape.sequences, new Sequence(new long[shape.length], prefix)), true);
                } catch (SoftcallException e) {
                    refused.add(e);
                }
            }
        } finally {
            prefix.release();
        }
        if (!refused.isEmpty()) {
            LOG.warnf(
                    "the warm-up skipped %d shapes of batches that failed; the smallest one: %s",
                    refused.size(), refused.getLast().getMessage());
        }
    }

    private record Shape(int sequences, int length) {

        int tokens() {
            return sequences * length;
        }
    }

    /**
     * Returns the shapes, the largest first: ONNX Runtime keeps the memory that it has taken, and smaller shapes fit into it.
     */
    private List<Shape> warmShapes(Device.Batching bounds) {
        List<Shape> shapes = new ArrayList<>();
        for (int length = FIRST_WARM_TEXT_TOKENS; length <= LAST_WARM_TEXT_TOKENS; length = device.tokens(length + 1)) {
            for (int size = 1;
                    size * length <= bounds.tokens() && size <= LARGEST_WARM_BATCH;
                    size = device.rows(size + 1)) {
                shapes.add(new Shape(size, length));
            }
        }
        shapes.sort(Comparator.comparingInt(Shape::tokens).reversed());
        return shapes;
    }

    private Prefix zeros(int tokens) {
        try {
            return form.keep(tokens, (index, to) -> to.position(to.limit()));
        } catch (OrtException e) {
            throw new IllegalStateException("allocating a prefix failed: " + e.getMessage(), e);
        }
    }

    @Override
    public Optional<String> decodingObstacle() {
        if (device != Device.CPU) {
            return Optional.of("this server computes on a GPU, and text is written on processors only so far");
        }
        if (decoderOpening.isEmpty()) {
            return Optional.of(
                    "the base bundle has no graphs of decoding for the variant %s; `softcall base` of this version writes them"
                            .formatted(bundle.served().name()));
        }
        return Optional.empty();
    }

    @Override
    public Decoding decoding(int places, int positions) {
        return new DecodingPlaces(decoder(), places, positions);
    }

    private synchronized Decoder decoder() {
        if (decoder == null) {
            decoderFailure.filter(RecentFailure::isRecent).ifPresent(last -> {
                throw last.problem().again();
            });
            long began = System.nanoTime();
            try {
                decoder = openedDecoder();
            } catch (RuntimeException e) {
                RecentFailure now = RecentFailure.of("the base's graphs of decoding", e);
                LOG.errorf(
                        "requests for text are answered 503: %s", now.problem().getMessage());
                decoderFailure = Optional.of(now);
                throw now.problem();
            }
            LOG.infof("opened the graphs of decoding in %d ms", (System.nanoTime() - began) / 1_000_000);
        }
        return decoder;
    }

    private Decoder openedDecoder() {
        Decoder opened = decoderOpening.orElseThrow().get();
        try {
            checkGolden(opened);
            return opened;
        } catch (RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    private void checkGolden(Decoder opened) {
        Prefix before = served.whole().goldenBeforeLast();
        try {
            opened.checkGolden(before);
        } finally {
            before.release();
        }
    }

    @Override
    public synchronized void close() {
        if (decoder != null) {
            decoder.close();
        }
        encoder.ifPresent(Encoder::close);
        served.close();
        form.close();
    }
}
