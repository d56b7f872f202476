package io.softcall.inference.opening;

import io.softcall.Settings;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.onnx.PackedWeights;
import io.softcall.inference.onnx.Trunk;
import io.softcall.inference.onnx.session.OpeningThreads;
import io.softcall.inference.onnx.session.SessionResources;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Opens the trunk and the tokenizer while Quarkus starts, which takes as long and needs neither.
 *
 * <p>The settings come only from system properties and the environment, because nothing else is known that early. If the full
 * configuration differs, because a file sets it, {@link Opening} closes the results and opens what is configured.
 */
public final class EarlyOpening {

    private static Optional<EarlyOpening> begun = Optional.empty();

    /** The settings that determine an opened trunk. */
    record Wanted(Device device, Path dir, List<String> variants, Optional<Path> cacheDir, SessionResources resources) {

        /**
         * Compares two of them. The {@code equals} of a record would be generated at its first call, which takes milliseconds.
         */
        boolean same(Wanted other) {
            return device == other.device
                    && dir.equals(other.dir)
                    && variants.equals(other.variants)
                    && cacheDir.equals(other.cacheDir)
                    && resources.threads() == other.resources.threads()
                    && resources.spinMicros() == other.resources.spinMicros()
                    && resources.keepMemory() == other.resources.keepMemory();
        }

        static Wanted of(InferenceConfig config, Device device) {
            return new Wanted(
                    device,
                    config.base().dir(),
                    config.base().variant().map(List::of).orElse(device.variants()),
                    config.base().cacheDir(),
                    new SessionResources(config.threads(), config.spinMicros(), config.keepMemory()));
        }

        /** Reads system properties and the environment. The defaults are those of {@link InferenceConfig}. */
        static Wanted ofEnvironment() {
            return new Wanted(
                    Device.CPU,
                    Path.of(setting("softcall.base.dir").orElse("base")),
                    setting("softcall.base.variant").map(List::of).orElse(Device.CPU.variants()),
                    setting("softcall.base.cache-dir").map(Path::of),
                    new SessionResources(
                            number("softcall.threads").orElse(0),
                            number("softcall.spin-micros").orElse(20),
                            setting("softcall.keep-memory")
                                    .map(Boolean::valueOf)
                                    .orElse(true)));
        }

        /**
         * @throws IllegalArgumentException if the value is not accepted; with too many threads, for example, opening would take
         *     very long
         */
        private static Optional<Integer> number(String name) {
            Optional<String> value = setting(name);
            if (value.isPresent() && !Settings.accepts(name, value.get())) {
                throw new IllegalArgumentException(name);
            }
            return value.map(Integer::valueOf);
        }

        private static Optional<String> setting(String name) {
            String variable = name.replaceAll("[^a-z]", "_").toUpperCase(Locale.ROOT);
            return Optional.ofNullable(System.getProperty(name))
                    .or(() -> Optional.ofNullable(System.getenv(variable)))
                    .filter(value -> !value.isEmpty());
        }
    }

    private final Wanted wanted;
    private final CompletableFuture<Bundle> bundle;
    private final CompletableFuture<Trunk> trunk;
    private final CompletableFuture<Tokenizer> tokenizer;

    private EarlyOpening(Wanted wanted) {
        this.wanted = wanted;
        bundle = OpeningThreads.begin("open-bundle", () -> Bundle.open(wanted.dir(), wanted.variants()));
        trunk = OpeningThreads.begin(
                "open-trunk", () -> PackedWeights.of(bundle.join().served(), wanted.cacheDir())
                        .open(bundle.join(), wanted.resources()));
        tokenizer = OpeningThreads.begin(
                "open-tokenizer", () -> new Tokenizer(bundle.join().tokenizer()));
    }

    /**
     * Starts to open; called once, first in the process. Does nothing if a GPU may compute, because the GPU must be detected
     * first.
     */
    public static synchronized void begin() {
        if (!Wanted.setting("softcall.provider").orElse("cpu").equalsIgnoreCase("cpu")) {
            return;
        }
        try {
            begun = Optional.of(new EarlyOpening(Wanted.ofEnvironment()));
        } catch (IllegalArgumentException e) {
            // A setting has an invalid value. The configuration reports it with its name as soon as it is read.
        }
    }

    /** Waits until nothing is being opened, here or by {@link Opening}; a process that exits earlier crashes in native code. */
    public static void awaitEnd() {
        OpeningThreads.awaitEnd();
    }

    /** Returns the early opening once, if its settings are the wanted ones; otherwise closes its results. */
    static synchronized Optional<EarlyOpening> take(Wanted wanted) {
        Optional<EarlyOpening> early = begun;
        begun = Optional.empty();
        early.filter(other -> !other.wanted.same(wanted)).ifPresent(EarlyOpening::close);
        return early.filter(other -> other.wanted.same(wanted));
    }

    private void close() {
        trunk.thenAccept(Trunk::close);
        tokenizer.thenAccept(Tokenizer::close);
    }

    /** Waits for the bundle; empty if it could not be read, which the next attempt will explain. */
    Optional<Bundle> bundle() {
        return await(bundle);
    }

    /** Waits for the trunk; empty if it could not be opened, which the next attempt will explain. */
    Optional<Trunk> trunk() {
        return await(trunk);
    }

    /** Waits for the tokenizer; empty if it could not be opened, which the next attempt will explain. */
    Optional<Tokenizer> tokenizer() {
        return await(tokenizer);
    }

    private static <T> Optional<T> await(CompletableFuture<T> future) {
        try {
            return Optional.of(future.join());
        } catch (CompletionException e) {
            return Optional.empty();
        }
    }
}
