package io.softcall.function;

import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.ExampleObject;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.parameters.RequestBody;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.jboss.resteasy.reactive.RestResponse;

/** Classification over HTTP, at SGLang's path and at vLLM's. */
@Path("/")
@RunOnVirtualThread
@Consumes(MediaType.APPLICATION_JSON)
@Produces(MediaType.APPLICATION_JSON)
class ClassifyResource {

    private static final String PATH = "/v1/classify";
    private static final String VLLM_PATH = "/classify";
    static final List<String> PATHS = List.of(PATH, VLLM_PATH);

    private final Endpoint endpoint;

    ClassifyResource(Endpoint endpoint) {
        this.endpoint = endpoint;
    }

    @POST
    @Path(PATH)
    @Operation(summary = "Classify texts with a task's prompt, as the store holds it now")
    @RequestBody(
            required = true,
            content =
                    @Content(
                            schema = @Schema(implementation = ClassifyRequestSchema.class),
                            examples =
                                    @ExampleObject(
                                            name = "banking77",
                                            value =
                                                    "{\"model\": \"banking77\", \"input\": \"My card has not arrived\"}")))
    @APIResponse(
            responseCode = "200",
            description = "One item per text, in order",
            content = @Content(schema = @Schema(implementation = ClassifyResponse.class)))
    @APIResponse(
            responseCode = "default",
            description = "Any error",
            content = @Content(schema = @Schema(implementation = Errors.Body.class)))
    public RestResponse<ClassifyResponse> classify(@Context RoutingContext context) {
        Endpoint.Answer answer = endpoint.answer(Admission.of(context), HangUps.of(context));
        RestResponse.ResponseBuilder<ClassifyResponse> response = RestResponse.ResponseBuilder.ok(answer.response());
        answer.headers().forEach(response::header);
        return response.build();
    }

    @POST
    @Path(VLLM_PATH)
    @Operation(hidden = true)
    public RestResponse<ClassifyResponse> classifyAtVllmsPath(@Context RoutingContext context) {
        return classify(context);
    }
}
