package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.Workers;
import io.softcall.jobs.JobReport;
import io.softcall.jobs.JobReports;
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
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.enums.SchemaType;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.parameters.RequestBody;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.jboss.resteasy.reactive.RestResponse;

/** Jobs over plain HTTP: how far one is, its end before its time, and storage events from those who do not speak CloudEvents. */
@Path("/v1/jobs")
@RunOnVirtualThread
@Produces(MediaType.APPLICATION_JSON)
class JobsResource {

    private static final int QUESTIONS_AT_ONCE = 2;
    private static final int QUESTIONS_WAITING = 64;

    private final Keys keys;
    private final Jobs jobs;
    private final SnsSubscriptions subscriptions;
    /** A folder on a disk that hangs would hold the carriers of all calls. */
    private final Workers questions = new Workers("questions about jobs", QUESTIONS_AT_ONCE, QUESTIONS_WAITING);

    JobsResource(Keys keys, Jobs jobs, SnsSubscriptions subscriptions) {
        this.keys = keys;
        this.jobs = jobs;
        this.subscriptions = subscriptions;
    }

    @POST
    @Consumes(MediaType.WILDCARD)
    @Operation(summary = "Classify the rows of a stored file, named by a notification of S3, and wait for the end")
    @RequestBody(required = true, content = @Content(schema = @Schema(type = SchemaType.OBJECT)))
    @APIResponse(
            responseCode = "200",
            description = "How the job ended; how all of them did, where the notification has several records",
            content = @Content(schema = @Schema(oneOf = {JobReport.class, JobReports.class})))
    @APIResponse(responseCode = "204", description = "Nothing to tell: of no concern, or others go on with it")
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
    @Operation(summary = "Show how far a job is, by its file's key and ETag")
    public JobStatus show(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("id") String id) {
        keys.caller(authorization).requireAll();
        return questions.call(() -> jobs.status(id));
    }

    @DELETE
    @Path("/{id: .+}")
    @Operation(summary = "Cancel a job, by its file's key and ETag; what is stored of it stays")
    public JobStatus cancel(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("id") String id) {
        keys.caller(authorization).requireAll();
        return questions.call(() -> jobs.cancel(id));
    }
}
