package io.softcall.api.rest;

import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.api.http.HttpClassification;
import io.softcall.api.http.Paths;
import io.softcall.api.json.ClassifyResponse;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import org.jboss.resteasy.reactive.RestResponse;

/** Classification over HTTP, at SGLang's path and at vLLM's. */
@Path("/")
@RunOnVirtualThread
@Consumes(MediaType.APPLICATION_JSON)
@Produces(MediaType.APPLICATION_JSON)
class ClassifyResource {

    private final HttpClassification classification;

    ClassifyResource(HttpClassification classification) {
        this.classification = classification;
    }

    @POST
    @Path(Paths.CLASSIFY_PATH)
    public RestResponse<ClassifyResponse> classify(@Context RoutingContext context) {
        HttpClassification.Answer answer = classification.answer(context);
        RestResponse.ResponseBuilder<ClassifyResponse> response = RestResponse.ResponseBuilder.ok(answer.body());
        answer.headers().forEach(response::header);
        return response.build();
    }

    @POST
    @Path(Paths.VLLM_CLASSIFY_PATH)
    public RestResponse<ClassifyResponse> classifyAtVllmsPath(@Context RoutingContext context) {
        return classify(context);
    }
}
