package io.softcall.function;

import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.Route;
import io.vertx.ext.web.Router;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;

/** What a request passes before REST or Funqy see it, in this order. */
@Singleton
class EntryRoutes {

    private final Draining draining;
    private final RequestBodies bodies;
    private final Admission admission;

    EntryRoutes(Draining draining, RequestBodies bodies, Admission admission) {
        this.draining = draining;
        this.bodies = bodies;
        this.admission = admission;
    }

    void register(@Observes Router router) {
        first(router.route()).failureHandler(RouterErrors::answer);
        first(router.route()).handler(draining::handle);
        first(router.route()).method(HttpMethod.POST).handler(HangUps::watch);
        first(router.route()).handler(bodies::read);
        for (String path : ClassifyResource.PATHS) {
            first(router.post(path)).handler(admission::admit);
        }
        first(router.post(ClassifyText.PATH)).handler(admission::admit);
        first(router.route(ClassifyText.PATH)).handler(Admission::requireAdmitted);
    }

    /**
     * Just before Quarkus's own handler of bodies, which has the same place and is registered later; and behind what looks for
     * changed code in development, for that sends the request to another router.
     */
    private static Route first(Route route) {
        return route.order(Integer.MIN_VALUE + 1);
    }
}
