package io.softcall.api.events;

import io.cloudevents.CloudEvent;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.softcall.api.Endpoint;
import io.softcall.api.http.Cancellations;
import io.softcall.api.http.Paths;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import java.util.Optional;
import org.jboss.resteasy.reactive.RestResponse;

/** The HTTP endpoint that receives CloudEvents. */
@Path(Paths.EVENTS_PATH)
@RunOnVirtualThread
class EventsResource {

    private final Endpoint endpoint;
    private final Events events;

    EventsResource(Endpoint endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    @POST
    @Consumes(MediaType.WILDCARD)
    public RestResponse<byte[]> take(
            @Context RoutingContext context,
            @Context HttpHeaders headers,
            @HeaderParam(HttpHeaders.AUTHORIZATION) Optional<String> authorization,
            byte[] body) {
        return switch (endpoint.counted(() -> HttpEvents.read(headers.getRequestHeaders(), body))) {
            case HttpEvents.Message.One(ReceivedEvent event, boolean structured) ->
                events.handle(authorization, event, Cancellations.of(context))
                        .map(reply -> response(HttpEvents.write(reply, structured)))
                        .orElseGet(RestResponse::noContent);
            case HttpEvents.Message.Batch(var batch) -> {
                List<CloudEvent> replies = events.handle(authorization, batch);
                yield replies.isEmpty() ? RestResponse.noContent() : response(HttpEvents.write(replies));
            }
        };
    }

    private static RestResponse<byte[]> response(HttpEvents.Encoded message) {
        RestResponse.ResponseBuilder<byte[]> response = RestResponse.ResponseBuilder.ok(message.body());
        message.headers().forEach(response::header);
        return response.build();
    }
}
