package io.softcall.api.http;

import io.softcall.api.Keys;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.Route;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.Optional;

/**
 * What a request passes before REST or Funqy see it, in this order. {@link HeaderDeadline} and {@link MalformedRequests} come before
 * all of it, on the connection.
 *
 * <p>A request for classification is admitted twice. Here, on the event loop, before it costs a thread: under overload most requests
 * are refused, and their refusal must be cheap. And again when it is classified, because the queue may have filled meanwhile, and
 * because other protocols come without this pipeline.
 */
@Singleton
class HttpPipeline {

    /** Health, metrics and the OpenAPI document. */
    private static final String OPERATORS = "/q/*";

    private final RouterErrors errors;
    private final Draining draining;
    private final Keys keys;
    private final RequestBodies bodies;
    private final Admission admission;

    HttpPipeline(RouterErrors errors, Draining draining, Keys keys, RequestBodies bodies, Admission admission) {
        this.errors = errors;
        this.draining = draining;
        this.keys = keys;
        this.bodies = bodies;
        this.admission = admission;
    }

    void register(@Observes Router router) {
        first(router.route()).failureHandler(errors::answer);
        first(router.route()).handler(draining::handle);
        first(router.route()).handler(AllowedMethods::check);
        first(router.route(OPERATORS)).handler(this::requireAdmin);
        first(router.route()).method(HttpMethod.POST).handler(Cancellations::watch);
        first(router.route()).handler(bodies::read);
        for (Paths path : Paths.CLASSIFICATION) {
            first(router.post(path.template())).handler(admission::admit);
        }
        router.get(OpenApi.PATH).produces(OpenApi.YAML).produces(OpenApi.JSON).handler(OpenApi::answer);
    }

    /** Health is open: load balancers have no key. */
    private void requireAdmin(RoutingContext context) {
        if (!context.normalizedPath().startsWith(Draining.HEALTH)) {
            keys.caller(Optional.ofNullable(context.request().getHeader(HttpHeaders.AUTHORIZATION)))
                    .requireAdmin();
        }
        context.next();
    }

    /**
     * Just before Quarkus's own handler of bodies, which has the same place and is registered later; and behind the handler that
     * looks for changed code in development, for that sends the request to another router.
     */
    private static Route first(Route route) {
        return route.order(Integer.MIN_VALUE + 1);
    }
}
