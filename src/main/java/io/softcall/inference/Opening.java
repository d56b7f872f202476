package io.softcall.inference;

import io.quarkus.runtime.Startup;
import jakarta.inject.Singleton;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/** Opens the trunk and the tokenizer at the same time and beside the rest of the start, each on a thread of its own. */
@Startup(Opening.BEFORE_OTHERS)
@Singleton
final class Opening {

    static final int BEFORE_OTHERS = 1;

    private static final Logger LOG = Logger.getLogger(Opening.class);

    private final Bundle bundle;
    private final CompletableFuture<Model> model;
    private final CompletableFuture<Tokenizer> tokenizer;

    Opening(InferenceConfig config) {
        Optional<EarlyOpening> early = EarlyOpening.take(EarlyOpening.Wanted.of(config));
        bundle = early.flatMap(EarlyOpening::bundle)
                .orElseGet(() -> Bundle.open(config.base().dir(), config.base().variant()));
        model = begin("open-trunk", () -> open(bundle, config, early.flatMap(EarlyOpening::trunk)));
        tokenizer = begin("open-tokenizer", () -> early.flatMap(EarlyOpening::tokenizer)
                .orElseGet(() -> new Tokenizer(bundle.tokenizer())));
    }

    static <T> CompletableFuture<T> begin(String thread, Supplier<T> work) {
        return CompletableFuture.supplyAsync(
                work, task -> Thread.ofPlatform().name(thread).daemon().start(task));
    }

    Bundle bundle() {
        return bundle;
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

    static Model open(Bundle bundle, InferenceConfig config, Optional<Trunk> early) {
        long began = System.nanoTime();
        Trunk.Means means = new Trunk.Means(config.threads(), config.spinMicros(), config.keepMemory());
        Model model =
                switch (config.provider()) {
                    case CPU ->
                        new OnnxModel(
                                bundle,
                                early.orElseGet(() -> PackedWeights.of(
                                                bundle.served(), config.base().cacheDir())
                                        .open(bundle, means)),
                                means,
                                config.prefix().encoderIdle());
                };
        LOG.infof(
                "base %s (%s, fingerprint %.12s) serves on ONNX Runtime, %s, golden row holds, waited %d ms",
                bundle.name(),
                bundle.served().name(),
                bundle.fingerprint(),
                config.provider(),
                (System.nanoTime() - began) / 1_000_000);
        return model;
    }
}
