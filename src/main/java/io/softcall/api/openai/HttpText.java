package io.softcall.api.openai;

import io.quarkus.virtual.threads.VirtualThreads;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Endpoint;
import io.softcall.api.Errors;
import io.softcall.api.http.Admission;
import io.softcall.api.http.Cancellations;
import io.softcall.api.http.HeldBytes;
import io.softcall.api.http.Paths;
import io.softcall.api.http.RouterErrors;
import io.softcall.inference.generation.Generation;
import io.softcall.inference.generation.GenerationConfig;
import io.softcall.inference.generation.Generator;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.vertx.core.Context;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/** Text over HTTP, at OpenAI's paths. */
@Singleton
class HttpText implements Admission.Entrance {

    private static final Logger LOG = Logger.getLogger(HttpText.class);

    private final Endpoint endpoint;
    private final Generator generator;
    private final Model model;
    private final InferenceConfig.Limits limits;
    private final GenerationConfig config;
    private final HeldBytes held;
    private final RouterErrors errors;
    private final ExecutorService executor;

    HttpText(
            Endpoint endpoint,
            Generator generator,
            Model model,
            InferenceConfig inference,
            GenerationConfig config,
            HeldBytes held,
            RouterErrors errors,
            @VirtualThreads ExecutorService executor) {
        this.endpoint = endpoint;
        this.generator = generator;
        this.model = model;
        this.limits = inference.limits();
        this.config = config;
        this.held = held;
        this.errors = errors;
        this.executor = executor;
    }

    void register(@Observes Router router) {
        for (Paths path : paths()) {
            router.post(path.template()).handler(this::answer);
        }
    }

    @Override
    public List<Paths> paths() {
        return List.of(Paths.COMPLETIONS, Paths.CHAT_COMPLETIONS);
    }

    @Override
    public Object admit(Paths path, Optional<String> authorization, Supplier<byte[]> body) {
        return endpoint.admitText(authorization, () -> parse(path, body.get()), TextRequest::generation);
    }

    private TextRequest parse(Paths path, byte[] body) {
        RequestBounds bounds = new RequestBounds(limits.texts(), limits.characters(), generator.vocabulary());
        return path == Paths.CHAT_COMPLETIONS ? ChatFields.parse(body, bounds) : CompletionFields.parse(body, bounds);
    }

    private void answer(RoutingContext context) {
        Context eventLoop = context.vertx().getOrCreateContext();
        CompletableFuture<Void> cancellation = Cancellations.of(context);
        PacedResponse response = new PacedResponse(context.request(), eventLoop, config.slowReader(), cancellation);
        executor.execute(() -> {
            try {
                TextRequest request = Admission.of(context, TextRequest.class);
                endpoint.generate(
                        request.generation(), cancellation, generation -> send(context, request, generation, response));
            } catch (RuntimeException | Error e) {
                if (response.hasBegun()) {
                    endWithError(context, response, e);
                } else {
                    eventLoop.runOnContext(on -> context.fail(e));
                }
            }
        });
    }

    private void send(RoutingContext context, TextRequest request, Generation generation, PacedResponse response) {
        AnswerHead head = AnswerHead.of(request, generation, model.bundle().fingerprint());
        HttpServerResponse headers = context.response();
        headers.putHeader("x-softcall-version", head.version());
        head.staleness().ifPresent(age -> headers.putHeader("x-softcall-stale-ms", Long.toString(age.toMillis())));
        if (request.streaming().isPresent()) {
            headers.setChunked(true)
                    .putHeader("Content-Type", "text/event-stream; charset=utf-8")
                    .putHeader("Cache-Control", "no-cache");
            new EventStream(request, request.streaming().get(), response).send(generation, head);
            return;
        }
        try (WholeAnswer answer = new WholeAnswer(request, held)) {
            answer.collect(generation);
            headers.putHeader("Content-Type", "application/json");
            response.end(answer.json(head, generation.promptTokens()));
        }
    }

    /** Ends a stream with an event that has the body of an error, unless its caller has gone. */
    private void endWithError(RoutingContext context, PacedResponse response, Throwable failure) {
        SoftcallException problem = Errors.unwrap(failure);
        if (problem.reason() == Reason.INTERNAL) {
            LOG.error("a call failed", failure);
        }
        if (problem.reason() == Reason.CANCELLED) {
            return;
        }
        try {
            response.end(EventStream.event(errors.body(context, problem).toString(StandardCharsets.UTF_8)));
        } catch (SoftcallException gone) {
            LOG.debug("the caller has gone before it was told of a failure", gone);
        }
    }
}
