package io.softcall.api.http;

import io.softcall.api.Keys;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.Route;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Singleton;
import java.util.Optional;

/**
 * The handlers that a request passes before REST, Funqy or {@code api.openai}, in this order. {@link HeaderDeadline} and
 * {@link MalformedRequests} come before all of them, on the connection.
 *
 * <p>A request for labels or text is admitted twice. The first time is here on the event loop, before the request costs a
 * thread: under overload most requests are refused, and their refusal must be cheap. The second time is when it is
 * answered, because the queue may have filled in between, and because other protocols do not use this pipeline.
 */
@Singleton
class HttpPipeline {

    /** Paths of health, metrics and the OpenAPI document. */
    private static final String OPERATORS = "/q/*";

    private final RouterErrors errors;
    private final Draining draining;
    private final Keys keys;
    private final RequestBodies bodies;
    private final Admission admission;
    private final Instance<Admission.Entrance> entrances;

    HttpPipeline(
            RouterErrors errors,
            Draining draining,
            Keys keys,
            RequestBodies bodies,
            Admission admission,
            Instance<Admission.Entrance> entrances) {
        this.errors = errors;
        this.draining = draining;
        this.keys = keys;
        this.bodies = bodies;
        this.admission = admission;
        this.entrances = entrances;
    }

    void register(@Observes Router router) {
        first(router.route()).failureHandler(errors::answer);
        first(router.route()).handler(draining::handle);
        first(router.route()).handler(AllowedMethods::check);
        first(router.route(OPERATORS)).handler(this::requireAdmin);
        first(router.route()).method(HttpMethod.POST).handler(Cancellations::watch);
        first(router.route()).handler(bodies::read);
        for (Admission.Entrance entrance : entrances) {
            for (Paths path : entrance.paths()) {
                first(router.post(path.template())).handler(context -> admission.admit(context, path, entrance));
            }
        }
        router.get(OpenApi.PATH).produces(OpenApi.YAML).produces(OpenApi.JSON).handler(OpenApi::answer);
    }

    /** Requires an operator's key, except for health: load balancers have no key. */
    private void requireAdmin(RoutingContext context) {
        if (!context.normalizedPath().startsWith(Draining.HEALTH)) {
            keys.caller(Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)))
                    .requireAdmin();
        }
        context.next();
    }

    /**
     * Places a route just before Quarkus's own body handler, which has the same order and is registered later. The
     * route still comes after the handler that checks for changed code in development, which sends the request to
     * another router.
     */
    private static Route first(Route route) {
        return route.order(Integer.MIN_VALUE + 1);
    }
}
