package io.softcall.api.rest;

import com.fasterxml.jackson.databind.JsonNode;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.Workers;
import io.softcall.api.Keys;
import io.softcall.api.http.Paths;
import io.softcall.api.json.RequestJson;
import io.softcall.jobs.JobStatus;
import io.softcall.jobs.Jobs;
import io.softcall.jobs.SnsSubscriptions;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import java.util.Optional;
import org.jboss.resteasy.reactive.RestResponse;

/**
 * Jobs over plain HTTP: their progress, their cancellation, and storage events from senders that do not use
 * CloudEvents.
 */
@Path(Paths.JOBS_PATH)
@RunOnVirtualThread
@Produces(MediaType.APPLICATION_JSON)
class JobsResource {

    private static final int REQUESTS_AT_ONCE = 2;
    private static final int REQUESTS_WAITING = 64;

    private final Keys keys;
    private final Jobs jobs;
    private final SnsSubscriptions subscriptions;
    /** Without these, a folder on a hanging disk would occupy the carrier threads of all calls. */
    private final Workers workers = new Workers("requests about jobs", REQUESTS_AT_ONCE, REQUESTS_WAITING);

    JobsResource(Keys keys, Jobs jobs, SnsSubscriptions subscriptions) {
        this.keys = keys;
        this.jobs = jobs;
        this.subscriptions = subscriptions;
    }

    @POST
    @Consumes(MediaType.WILDCARD)
    public RestResponse<Object> handle(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, byte[] notification) {
        keys.caller(authorization).requireAll();
        JsonNode message = RequestJson.read("the body", notification);
        if (subscriptions.handle(message)) {
            return RestResponse.noContent();
        }
        return jobs.handle(message).body().map(RestResponse::ok).orElseGet(RestResponse::noContent);
    }

    @GET
    @Path("/{id: .+}")
    public JobStatus show(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("id") String id) {
        keys.caller(authorization).requireAll();
        return workers.call(() -> jobs.status(id));
    }

    @DELETE
    @Path("/{id: .+}")
    public JobStatus cancel(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("id") String id) {
        keys.caller(authorization).requireAll();
        return workers.call(() -> jobs.cancel(id));
    }
}
