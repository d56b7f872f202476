package io.softcall.inference.opening;

import io.quarkus.runtime.Startup;
import io.softcall.Settings;
import io.softcall.inference.cuda.Cuda;
import io.softcall.inference.memory.HostMemory;
import io.softcall.inference.memory.PageMemory;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.onnx.Decoder;
import io.softcall.inference.onnx.OnnxModel;
import io.softcall.inference.onnx.PackedWeights;
import io.softcall.inference.onnx.PartitionedTrunk;
import io.softcall.inference.onnx.Trunk;
import io.softcall.inference.onnx.prefix.LayerPrefixes;
import io.softcall.inference.onnx.prefix.PagedPrefixes;
import io.softcall.inference.onnx.prefix.PrefixForm;
import io.softcall.inference.onnx.session.OpeningThreads;
import io.softcall.inference.onnx.session.SessionResources;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jboss.logging.Logger;

/**
 * Opens the trunk and the tokenizer at the same time, in parallel with the rest of the startup, each on a thread of its own.
 */
@Startup(Opening.BEFORE_OTHERS)
@Singleton
public final class Opening {

    static final int BEFORE_OTHERS = 1;

    private static final Logger LOG = Logger.getLogger(Opening.class);

    private final Serving serving;
    private final Bundle bundle;
    private final CompletableFuture<Model> model;
    private final CompletableFuture<Tokenizer> tokenizer;

    /**
     * The device that computes.
     *
     * @param cuda the GPU; empty if the processor computes
     * @param why the reason for the choice, as the log has it
     */
    public record Serving(Optional<Cuda> cuda, String why) {

        public Device device() {
            return cuda.isPresent() ? Device.CUDA : Device.CPU;
        }

        /** @throws IllegalStateException if CUDA is configured and unavailable; the message says why */
        public static Serving choose(InferenceConfig config) {
            String why = "softcall.provider=" + config.provider().name().toLowerCase(Locale.ROOT);
            if (config.provider() == InferenceConfig.Provider.CPU) {
                return new Serving(Optional.empty(), why);
            }
            try {
                return new Serving(Optional.of(Cuda.open(config.cuda())), why);
            } catch (IllegalStateException e) {
                if (config.provider() == InferenceConfig.Provider.CUDA) {
                    throw new IllegalStateException("%s: %s".formatted(why, e.getMessage()), e);
                }
                LOG.warnf("%s: the processor computes, because CUDA is unavailable: %s", why, e.getMessage());
                return new Serving(Optional.empty(), why + " found no GPU");
            }
        }
    }

    /** @param checked makes sure that the settings are validated before anything is opened */
    Opening(InferenceConfig config, Settings checked) {
        serving = Serving.choose(config);
        EarlyOpening.Wanted wanted = EarlyOpening.Wanted.of(config, serving.device());
        Optional<EarlyOpening> early = EarlyOpening.take(wanted);
        bundle = early.flatMap(EarlyOpening::bundle).orElseGet(() -> Bundle.open(wanted.dir(), wanted.variants()));
        model = OpeningThreads.begin(
                "open-trunk", () -> open(bundle, config, serving, early.flatMap(EarlyOpening::trunk)));
        tokenizer = OpeningThreads.begin("open-tokenizer", () -> early.flatMap(EarlyOpening::tokenizer)
                .orElseGet(() -> new Tokenizer(bundle.tokenizer())));
    }

    Bundle bundle() {
        return bundle;
    }

    /** Returns the GPU, if one computes. */
    Optional<Cuda> cuda() {
        return serving.cuda();
    }

    /** Waits for the trunk. */
    public Model model() {
        return await(model);
    }

    /** Waits for the tokenizer. */
    Tokenizer tokenizer() {
        return await(tokenizer);
    }

    private static <T> T await(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException e) {
            // Unwrapped, so that the log of a failed start begins with the message.
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
    }

    /** Returns a trunk whose second part can be opened from the saved weights. */
    private static PartitionedTrunk partitioned(
            Trunk trunk, Bundle bundle, InferenceConfig config, SessionResources resources, int runs) {
        return PartitionedTrunk.of(
                trunk, () -> PackedWeights.of(bundle.served(), config.base().cacheDir())
                        .openSaved(bundle, resources.shareOf(runs)));
    }

    public static Model open(Bundle bundle, InferenceConfig config, Serving serving, Optional<Trunk> early) {
        long began = System.nanoTime();
        SessionResources resources = new SessionResources(config.threads(), config.spinMicros(), config.keepMemory());
        Trunk trunk = early.or(() -> serving.cuda().map(cuda -> Trunk.on(cuda, bundle, resources)))
                .orElseGet(() -> PackedWeights.of(bundle.served(), config.base().cacheDir())
                        .open(bundle, resources));
        PrefixForm form = trunk.isPaged()
                ? new PagedPrefixes(
                        bundle,
                        trunk.keyOrder(),
                        config.prefix().cacheBytes().asLongValue(),
                        Math.min(config.limits().promptTokens(), bundle.maxPositions()),
                        serving.cuda().<PageMemory.Source>map(cuda -> cuda).orElse(HostMemory::new))
                : new LayerPrefixes(bundle, config.prefix().cacheBytes().asLongValue());
        Device.Batching bounds = serving.device().batching(config.batch());
        boolean partitioned = serving.device().isPartitioned() && bounds.runs() > 1;
        OnnxModel model = new OnnxModel(
                bundle,
                partitioned
                        ? partitioned(trunk, bundle, config, resources, bounds.runs())
                        : PartitionedTrunk.single(trunk),
                serving.device(),
                form,
                resources,
                config.prefix().encoderIdle(),
                bundle.served()
                        .decoding()
                        .filter(graphs -> serving.device() == Device.CPU)
                        .map(graphs -> () -> Decoder.open(
                                bundle,
                                PackedWeights.of(bundle.served(), config.base().cacheDir()),
                                resources.shareOf(bounds.runs()))));
        serving.cuda().ifPresent(cuda -> model.warmUp(bounds));
        LOG.infof(
                "base %s (%s, fingerprint %.12s) serves on ONNX Runtime, %s (%s); it reproduces the golden row, and took %d ms",
                bundle.name(),
                bundle.served().name(),
                bundle.fingerprint(),
                serving.cuda().map(Cuda::toString).orElse("CPU"),
                serving.why(),
                (System.nanoTime() - began) / 1_000_000);
        return model;
    }
}
