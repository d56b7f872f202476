package io.softcall.function;

import io.softcall.store.Store;
import io.softcall.task.Requirements;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.Readiness;

/**
 * Ready once the base is loaded, which start-up waits for. The store is named, not asked: a store that blinks must not
 * take every instance out of service at once.
 */
@Readiness
@Singleton
class BaseLoaded implements HealthCheck {

    private final Requirements base;
    private final Store store;

    BaseLoaded(Requirements base, Store store) {
        this.base = base;
        this.store = store;
    }

    @Override
    public HealthCheckResponse call() {
        return HealthCheckResponse.named("base")
                .up()
                .withData("base", base.baseName())
                .withData("fingerprints", String.join(" ", base.fingerprints()))
                .withData("store", store.uri())
                .build();
    }
}
