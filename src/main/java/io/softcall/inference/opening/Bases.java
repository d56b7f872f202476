package io.softcall.inference.opening;

import io.quarkus.runtime.Startup;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Tokenizer;
import io.softcall.task.Kind;
import io.softcall.task.PrefixLayout;
import io.softcall.task.Prompt;
import io.softcall.task.Requirements;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Template;
import io.softcall.task.catalog.OwnTask;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
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

    /** Returns the base itself as a task, if it is to be served. */
    @Produces
    @Singleton
    @Startup
    OwnTask ownTask(Bundle bundle, InferenceConfig config) {
        return new OwnTask(config.base().serveAs().map(name -> baseTask(bundle, name)));
    }

    private static StoredTask baseTask(Bundle bundle, String name) {
        Kind.Defaults none =
                new Kind.Defaults(OptionalInt.empty(), List.of(), OptionalDouble.empty(), OptionalDouble.empty());
        Kind kind = new Kind.Generation(
                Optional.of(Template.OF_TEXT), bundle.chatTemplate().isPresent(), none);
        Task task = new Task(
                new TaskName(name),
                bundle.fingerprint(),
                Optional.of(Instant.now()),
                0,
                kind,
                Optional.empty(),
                "{\"kind\": \"generation\"}",
                0);
        return new StoredTask(task, new Prompt.None());
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
