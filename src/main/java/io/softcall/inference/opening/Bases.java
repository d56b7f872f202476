package io.softcall.inference.opening;

import io.quarkus.runtime.Startup;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Tokenizer;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Requirements;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.HashSet;
import java.util.Set;

/** Opens the configured base at startup, so that a server that is ready can answer. */
final class Bases {

    @Produces
    @Singleton
    Bundle bundle(Opening opening) {
        return opening.bundle();
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
                bundle.maxPositions(),
                config.limits().promptTokens(),
                new PrefixLayout(
                        bundle.served().name(),
                        bundle.served().kvLayout(),
                        bundle.isUnscaled(),
                        bundle.layers(),
                        bundle.kvHeads(),
                        bundle.headDim()),
                bundle.encoder().isPresent());
    }

    @Produces
    @Singleton
    @Startup
    Model model(Opening opening) {
        return opening.model();
    }

    /** Closes the model. The tokenizer is not closed, because that would crash the process if a call is still in progress. */
    void close(@Disposes Model model) {
        model.close();
    }

    @Produces
    @Singleton
    @Startup
    Tokenizer tokenizer(Opening opening) {
        return opening.tokenizer();
    }
}
