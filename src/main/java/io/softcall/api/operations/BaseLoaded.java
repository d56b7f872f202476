package io.softcall.api.operations;

import io.softcall.api.http.Draining;
import io.softcall.task.Requirements;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.Readiness;

/**
 * Ready from the end of the start, which loads the base, until the server stops. Readiness does not depend on the
 * store: a short outage must not take every instance out of service at once.
 */
@Readiness
@Singleton
class BaseLoaded implements HealthCheck {

    private final Requirements base;
    private final Draining draining;

    BaseLoaded(Requirements base, Draining draining) {
        this.base = base;
        this.draining = draining;
    }

    @Override
    public HealthCheckResponse call() {
        return HealthCheckResponse.named("base")
                .status(!draining.hasBegun())
                .withData("base", base.baseName())
                .withData("fingerprints", String.join(" ", base.fingerprints()))
                .build();
    }
}
