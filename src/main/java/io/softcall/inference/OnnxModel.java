package io.softcall.inference;

import io.softcall.task.Prompt;
import io.softcall.task.ReadyPrefix;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The base on ONNX Runtime. Texts run through the variant that is served; prompts are always encoded at full precision, by
 * the same trunk where that is the one, else by another that is open only while prompts come.
 */
final class OnnxModel implements Model {

    private final Bundle bundle;
    private final Trunk served;
    private final Optional<Encoder> encoder;

    /**
     * @param served the open trunk of the variant that is served; closed with this
     * @param means of the trunk that encodes prompts
     * @param encoderIdle how long that one stays open when no prompt comes
     */
    OnnxModel(Bundle bundle, Trunk served, Trunk.Means means, Duration encoderIdle) {
        this.bundle = bundle;
        this.served = served;
        this.encoder = bundle.encoder()
                .filter(variant -> !variant.equals(bundle.served()))
                .map(variant -> new Encoder(() -> Trunk.mapped(bundle, variant, means), encoderIdle));
    }

    @Override
    public Bundle bundle() {
        return bundle;
    }

    @Override
    public Prefix encode(Prompt prompt) {
        if (bundle.encoder().isEmpty()) {
            throw new IllegalStateException("the bundle has no full-precision trunk");
        }
        return encoder.isPresent() ? encoder.get().encode(prompt) : served.encode(prompt);
    }

    @Override
    public Prefix load(ReadyPrefix ready) {
        return served.prefix(ready);
    }

    @Override
    public float[][] run(List<Sequence> batch) {
        return served.run(batch);
    }

    @Override
    public void close() {
        encoder.ifPresent(Encoder::close);
        served.close();
    }
}
