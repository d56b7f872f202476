package io.softcall.api.rest;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonRawValue;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.SoftcallException;
import io.softcall.Workers;
import io.softcall.api.Errors;
import io.softcall.api.Keys;
import io.softcall.api.http.Paths;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.TaskPatterns;
import io.softcall.task.catalog.TaskListing;
import io.softcall.task.catalog.Tasks;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;

/** The tasks in the store, in the format of OpenAI's {@code /v1/models}. */
@Path(Paths.MODELS_PATH)
@RunOnVirtualThread
@Produces(MediaType.APPLICATION_JSON)
class ModelsResource {

    /** A small limit leaves the other cores to classification. */
    private static final int LISTINGS_AT_ONCE = 2;

    private static final int LISTINGS_WAITING = 64;

    private static final String ALL = "" + TaskListing.MAX_ENTRIES;

    private final Keys keys;
    private final Tasks tasks;
    private final ObjectWriter json;
    private final Workers listings = new Workers("listings", LISTINGS_AT_ONCE, LISTINGS_WAITING);

    ModelsResource(Keys keys, Tasks tasks, ObjectMapper mapper) {
        this.keys = keys;
        this.tasks = tasks;
        this.json = mapper.writerFor(Models.class);
    }

    /** @param nextAfter the {@code after} parameter of the next page */
    @RegisterForReflection
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Models(
            String object,
            List<Model> data,
            @JsonProperty("has_more") boolean hasMore,
            @JsonProperty("next_after") String nextAfter) {

        static Models of(TaskListing.Page page) {
            return new Models(
                    "list",
                    page.entries().stream().map(Model::of).toList(),
                    page.next().isPresent(),
                    page.next().orElse(null));
        }
    }

    /** @param created when the task was stored, in seconds since 1970 */
    @RegisterForReflection
    record Model(
            String id,
            String object,
            long created,
            @JsonProperty("owned_by") String ownedBy) {

        static Model of(TaskListing.Entry row) {
            return new Model(row.name().value(), "model", row.stored().getEpochSecond(), "softcall");
        }
    }

    /** @param task the metadata of the artifact */
    @RegisterForReflection
    record Details(
            String id,
            String object,
            long created,
            @JsonProperty("owned_by") String ownedBy,
            String version,
            @JsonProperty("prompt_tokens") int promptTokens,
            @JsonProperty("artifact_bytes") long artifactBytes,
            @JsonRawValue String task) {
        Details(Task task) {
            this(
                    task.name().value(),
                    "model",
                    task.stored().orElse(Instant.EPOCH).getEpochSecond(),
                    "softcall",
                    task.version(),
                    task.promptTokens(),
                    task.artifactBytes(),
                    task.metadata());
        }
    }

    /** Lists the store, and writes a page, on other threads than those of calls: both may take long. */
    @GET
    public byte[] list(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization,
            @QueryParam("after") @DefaultValue("") String after,
            @QueryParam("limit") @DefaultValue(ALL) String limit) {
        TaskPatterns patterns = new TaskPatterns(keys.caller(authorization).patterns());
        int rows = number(limit);
        return listings.call(() -> write(Models.of(tasks.list(patterns, after, rows))));
    }

    private byte[] write(Models models) {
        try {
            return json.writeValueAsBytes(models);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("names and numbers can always be written as JSON", e);
        }
    }

    @GET
    @Path("/{task: .+}")
    public Details show(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("task") String task) {
        Keys.Caller caller = keys.caller(authorization);
        TaskName name = new TaskName(task);
        caller.require(name);
        try (Tasks.Use use = tasks.revalidate(name)) {
            return new Details(use.validated().join().stored().task());
        } catch (CompletionException e) {
            throw Errors.unwrap(e);
        }
    }

    private static int number(String limit) {
        int number = limit.matches("[0-9]{1,5}") ? Integer.parseInt(limit) : 0;
        if (number < 1 || number > TaskListing.MAX_ENTRIES) {
            throw SoftcallException.invalid("limit is \"%s\", expected 1 to %d", limit, TaskListing.MAX_ENTRIES);
        }
        return number;
    }
}
