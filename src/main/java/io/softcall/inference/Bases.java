package io.softcall.inference;

import io.quarkus.runtime.Startup;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Requirements;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.HashSet;
import java.util.Set;
import org.jboss.logging.Logger;

/** Opens the base that the configuration names, at start, so that a server that is ready can answer. */
final class Bases {

    private static final Logger LOG = Logger.getLogger(Bases.class);

    @Produces
    @Singleton
    Bundle bundle(InferenceConfig config) {
        return Bundle.open(config.base().dir(), config.base().variant());
    }

    @Produces
    @Singleton
    Requirements requirements(Bundle bundle, InferenceConfig config) {
        Set<String> fingerprints = new HashSet<>(config.base().accept().orElse(Set.of()));
        fingerprints.add(bundle.fingerprint());
        return new Requirements(
                bundle.name(),
                fingerprints,
                bundle.hiddenSize(),
                config.limits().promptTokens(),
                new PrefixLayout(
                        bundle.served().name(),
                        bundle.served().kvLayout(),
                        bundle.layers(),
                        bundle.kvHeads(),
                        bundle.headDim()));
    }

    @Produces
    @Singleton
    @Startup
    Model model(Bundle bundle, InferenceConfig config) {
        long began = System.nanoTime();
        Model model =
                switch (config.provider()) {
                    case CPU ->
                        new OnnxModel(
                                bundle,
                                new Trunk.Threads(config.threads(), config.spinning()),
                                config.base().cacheDir(),
                                config.prefix().encoderIdle());
                };
        LOG.infof(
                "base %s (%s, fingerprint %.12s) serves on ONNX Runtime, %s, golden row holds, %d ms",
                bundle.name(),
                bundle.served().name(),
                bundle.fingerprint(),
                config.provider(),
                (System.nanoTime() - began) / 1_000_000);
        return model;
    }

    /** The tokenizer is not disposed of: a call that is still under way would crash the process. */
    void close(@Disposes Model model) {
        model.close();
    }

    @Produces
    @Singleton
    @Startup
    Tokenizer tokenizer(Bundle bundle) {
        return new Tokenizer(bundle.tokenizer());
    }
}
