package io.softcall.inference;

import io.quarkus.runtime.Startup;
import io.softcall.Settings;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/** Opens the trunk and the tokenizer at the same time and beside the rest of the start, each on a thread of its own. */
@Startup(Opening.BEFORE_OTHERS)
@Singleton
final class Opening {

    static final int BEFORE_OTHERS = 1;

    private static final Logger LOG = Logger.getLogger(Opening.class);

    private static final Queue<CompletableFuture<?>> BEGUN = new ConcurrentLinkedQueue<>();

    private final Serving serving;
    private final Bundle bundle;
    private final CompletableFuture<Model> model;
    private final CompletableFuture<Tokenizer> tokenizer;

    /**
     * What serves.
     *
     * @param cuda empty: the processor
     * @param why as start-up says it
     */
    record Serving(Optional<Cuda> cuda, String why) {

        Device device() {
            return cuda.isPresent() ? Device.CUDA : Device.CPU;
        }

        /** @throws IllegalStateException when CUDA is wanted and cannot be had; the message says why */
        static Serving choose(InferenceConfig config) {
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
                LOG.warnf("%s: the processor serves, because CUDA cannot: %s", why, e.getMessage());
                return new Serving(Optional.empty(), why + " found no GPU");
            }
        }
    }

    /** @param checked nothing is opened by a setting that is wrong */
    Opening(InferenceConfig config, Settings checked) {
        serving = Serving.choose(config);
        EarlyOpening.Wanted wanted = EarlyOpening.Wanted.of(config, serving.device());
        Optional<EarlyOpening> early = EarlyOpening.take(wanted);
        bundle = early.flatMap(EarlyOpening::bundle).orElseGet(() -> Bundle.open(wanted.dir(), wanted.variants()));
        model = begin("open-trunk", () -> open(bundle, config, serving, early.flatMap(EarlyOpening::trunk)));
        tokenizer = begin("open-tokenizer", () -> early.flatMap(EarlyOpening::tokenizer)
                .orElseGet(() -> new Tokenizer(bundle.tokenizer())));
    }

    static <T> CompletableFuture<T> begin(String thread, Supplier<T> work) {
        CompletableFuture<T> result = CompletableFuture.supplyAsync(
                work, task -> Thread.ofPlatform().name(thread).daemon().start(task));
        BEGUN.add(result);
        return result;
    }

    /** Waits until nothing is being opened, in whatever way that ends. */
    static void awaitEnd() {
        BEGUN.forEach(opened -> opened.handle((value, failure) -> value).join());
    }

    Bundle bundle() {
        return bundle;
    }

    /** The GPU that serves, if one does. */
    Optional<Cuda> cuda() {
        return serving.cuda();
    }

    /** Waits for the trunk. */
    Model model() {
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
            // Without its wrapping the message is the first thing that the log of a failed start says.
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
    }

    private static DividedTrunk divided(
            Trunk trunk, Bundle bundle, InferenceConfig config, Trunk.Means means, int runs) {
        return DividedTrunk.of(
                trunk, () -> PackedWeights.of(bundle.served(), config.base().cacheDir())
                        .openSaved(bundle, means.ofRun(runs)));
    }

    static Model open(Bundle bundle, InferenceConfig config, Serving serving, Optional<Trunk> early) {
        long began = System.nanoTime();
        Trunk.Means means = new Trunk.Means(config.threads(), config.spinMicros(), config.keepMemory());
        Trunk trunk = early.or(() -> serving.cuda().map(cuda -> Trunk.on(cuda, bundle, means)))
                .orElseGet(() -> PackedWeights.of(bundle.served(), config.base().cacheDir())
                        .open(bundle, means));
        PrefixForm form = trunk.isPaged()
                ? new PagedPrefixes(
                        bundle,
                        trunk.keyOrder(),
                        config.prefix().cacheBytes().asLongValue(),
                        serving.cuda().<PageMemory.Source>map(cuda -> cuda).orElse(HostMemory::new))
                : new LayerPrefixes(bundle);
        Device.Batching bounds = serving.device().batching(config.batch());
        boolean divided = serving.device().isDivided() && bounds.runs() > 1;
        OnnxModel model = new OnnxModel(
                bundle,
                divided ? divided(trunk, bundle, config, means, bounds.runs()) : DividedTrunk.undivided(trunk),
                serving.device(),
                form,
                means,
                config.prefix().encoderIdle());
        serving.cuda().ifPresent(cuda -> model.warmUp(bounds));
        LOG.infof(
                "base %s (%s, fingerprint %.12s) serves on ONNX Runtime, %s (%s), golden row holds, waited %d ms",
                bundle.name(),
                bundle.served().name(),
                bundle.fingerprint(),
                serving.cuda().map(Cuda::toString).orElse("CPU"),
                serving.why(),
                (System.nanoTime() - began) / 1_000_000);
        return model;
    }
}
