package io.softcall.inference.onnx;

import ai.onnxruntime.OrtException;
import io.softcall.SoftcallException;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * The base on ONNX Runtime. Texts run through the variant that is served; prompts are always encoded at full precision, by
 * the same trunk where that is the one, else by another that is open only while prompts come.
 */
public final class OnnxModel implements Model {

    private static final Logger LOG = Logger.getLogger(OnnxModel.class);

    private static final int WARM_PREFIX_TOKENS = 20;
    private static final int FIRST_WARM_TEXT_TOKENS = 8;
    private static final int LAST_WARM_TEXT_TOKENS = 64;
    private static final int WARM_ROWS = 256;

    private final Bundle bundle;
    private final PartitionedTrunk served;
    private final Device device;
    private final PrefixForm form;
    private final Optional<Encoder> encoder;

    /**
     * @param served the open trunk of the variant that is served, on {@code device}; closed with this
     * @param form in which it takes prefixes; closed with this
     * @param resources of the trunk that encodes prompts
     * @param encoderIdle how long that one stays open when no prompt comes
     */
    public OnnxModel(
            Bundle bundle,
            PartitionedTrunk served,
            Device device,
            PrefixForm form,
            SessionResources resources,
            Duration encoderIdle) {
        this.bundle = bundle;
        this.served = served;
        this.device = device;
        this.form = form;
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
    public Prefix encode(Prompt prompt) {
        if (bundle.encoder().isEmpty()) {
            throw new IllegalStateException("the bundle has no full-precision trunk");
        }
        return encoder.isPresent()
                ? encoder.get().encode(prompt, form)
                : served.whole().encode(prompt, form);
    }

    @Override
    public Prefix load(ReadyPrefix ready) {
        int tokens = ready.size() / (2 * bundle.layers() * bundle.kvHeads() * bundle.headDim());
        try {
            return form.keep(tokens, (i, to) -> to.put(ready.floats(i * to.remaining(), to.remaining())));
        } catch (OrtException e) {
            throw new IllegalStateException("loading a prefix failed: " + e.getMessage(), e);
        }
    }

    @Override
    public float[][] forward(List<Sequence> batch, boolean exclusive) {
        return served.forward(batch, exclusive, device, form);
    }

    /**
     * Runs the shapes of short texts once, because the first run of a shape costs as much as several others on a GPU. Those for
     * which there is no memory are left out: such a run will be answered that there is none.
     *
     * @param bounds on runs
     */
    public void warmUp(Device.Batching bounds) {
        List<SoftcallException> refused = new ArrayList<>();
        Prefix prefix = zeros(WARM_PREFIX_TOKENS);
        try {
            for (Shape shape : warmShapes(bounds)) {
                try {
                    forward(Collections.nCopies(shape.rows, new Sequence(new long[shape.length], prefix)), true);
                } catch (SoftcallException e) {
                    refused.add(e);
                }
            }
        } finally {
            prefix.release();
        }
        if (!refused.isEmpty()) {
            LOG.warnf(
                    "%d shapes could not be run at the start; the smallest: %s",
                    refused.size(), refused.getLast().getMessage());
        }
    }

    private record Shape(int rows, int length) {

        int tokens() {
            return rows * length;
        }
    }

    /** The largest first: ONNX Runtime keeps the memory that it has taken, and finds room in it for all that is smaller. */
    private List<Shape> warmShapes(Device.Batching bounds) {
        List<Shape> shapes = new ArrayList<>();
        for (int length = FIRST_WARM_TEXT_TOKENS; length <= LAST_WARM_TEXT_TOKENS; length = device.tokens(length + 1)) {
            for (int rows = 1; rows * length <= bounds.tokens() && rows <= WARM_ROWS; rows = device.rows(rows + 1)) {
                shapes.add(new Shape(rows, length));
            }
        }
        shapes.sort(Comparator.comparingInt(Shape::tokens).reversed());
        return shapes;
    }

    private Prefix zeros(int tokens) {
        try {
            return form.keep(tokens, (index, to) -> to.position(to.limit()));
        } catch (OrtException e) {
            throw new IllegalStateException("keeping a prefix failed: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        encoder.ifPresent(Encoder::close);
        served.close();
        form.close();
    }
}
