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
    public RestResponse<ClassifyResponse> classify(@Context RoutingContext context) {
        Endpoint.Answer answer = endpoint.answer(Admission.of(context), HangUps.of(context));
        RestResponse.ResponseBuilder<ClassifyResponse> response = RestResponse.ResponseBuilder.ok(answer.response());
        answer.headers().forEach(response::header);
        return response.build();
    }

    @POST
    @Path(VLLM_PATH)
    public RestResponse<ClassifyResponse> classifyAtVllmsPath(@Context RoutingContext context) {
        return classify(context);
    }
}
