package io.softcall.function;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import io.softcall.task.Tasks;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.enums.SchemaType;
import org.eclipse.microprofile.openapi.annotations.media.Schema;

/** The tasks that the store holds. */
@Path("/v1/models")
@RunOnVirtualThread
@Produces(MediaType.APPLICATION_JSON)
class ModelsResource {

    private static final int MAX_LIMIT = 1_000;

    private final Keys keys;
    private final Tasks tasks;

    ModelsResource(Keys keys, Tasks tasks) {
        this.keys = keys;
        this.tasks = tasks;
    }

    /** @param nextAfter the {@code after} of the page that follows */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Models(
            String object,
            List<Model> data,
            @JsonProperty("has_more") boolean hasMore,
            @JsonProperty("next_after") String nextAfter) {}

    record Model(
            String id,
            String object,
            @JsonProperty("owned_by") String ownedBy) {
        Model(TaskName name) {
            this(name.value(), "model", "softcall");
        }
    }

    /** @param task the artifact's own metadata */
    record Details(
            String id,
            String object,
            @JsonProperty("owned_by") String ownedBy,
            String version,
            @JsonProperty("prompt_tokens") int promptTokens,
            @JsonProperty("artifact_bytes") long artifactBytes,
            @Schema(type = SchemaType.OBJECT) JsonNode task) {
        Details(Task task) {
            this(
                    task.name().value(),
                    "model",
                    "softcall",
                    task.version(),
                    task.prompt().tokens(),
                    task.artifactBytes(),
                    task.metadata());
        }
    }

    @GET
    @Operation(summary = "List tasks, a page at a time")
    public Models list(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization,
            @QueryParam("after") @DefaultValue("") String after,
            @QueryParam("limit") @DefaultValue("100") String limit) {
        Keys.Caller caller = keys.caller(authorization);
        Tasks.Page page = tasks.list(cursor(after), number(limit));
        return new Models(
                "list",
                page.names().stream().filter(caller::mayCall).map(Model::new).toList(),
                page.next().isPresent(),
                page.next().orElse(null));
    }

    @GET
    @Path("/{task: .+}")
    @Operation(summary = "Show a task as the store holds it now")
    public Details show(
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization, @PathParam("task") String task) {
        Keys.Caller caller = keys.caller(authorization);
        TaskName name = new TaskName(task);
        caller.require(name);
        try {
            return new Details(tasks.revalidate(name).join().task());
        } catch (CompletionException e) {
            throw Errors.unwrap(e);
        }
    }

    private static String cursor(String after) {
        if (after.length() > 1_024) {
            throw new SoftcallException(
                    Reason.INVALID_REQUEST,
                    "after has %d characters, at most 1024 are accepted".formatted(after.length()));
        }
        return after;
    }

    private static int number(String limit) {
        if (!limit.matches("[0-9]{1,4}") || Integer.parseInt(limit) < 1 || Integer.parseInt(limit) > MAX_LIMIT) {
            throw SoftcallException.invalid("limit is \"%s\", expected 1 to %d", limit, MAX_LIMIT);
        }
        return Integer.parseInt(limit);
    }
}
