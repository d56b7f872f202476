package io.softcall.api.rest;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Errors;
import io.softcall.api.Keys;
import jakarta.inject.Singleton;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.UriInfo;
import java.util.Optional;
import org.jboss.logging.Logger;
import org.jboss.resteasy.reactive.RestResponse;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/** Maps exceptions of REST endpoints to answers. */
@Singleton
class ErrorMappers {

    private static final Logger LOG = Logger.getLogger(ErrorMappers.class);

    private final Keys keys;

    ErrorMappers(Keys keys) {
        this.keys = keys;
    }

    @ServerExceptionMapper
    RestResponse<Errors.Body> map(SoftcallException e, HttpHeaders headers) {
        var response = RestResponse.ResponseBuilder.<Errors.Body>create(Errors.status(e.reason()))
                .entity(Errors.body(
                        e, keys.isAdmin(Optional.ofNullable(headers.getHeaderString(HttpHeaders.AUTHORIZATION)))))
                .type(MediaType.APPLICATION_JSON_TYPE);
        Errors.headers(e).forEach(response::header);
        return response.build();
    }

    /** Maps refusals by the framework: unknown paths, methods, media types, bodies. */
    @ServerExceptionMapper
    RestResponse<Errors.Body> map(WebApplicationException e, UriInfo uri, HttpHeaders headers) {
        int status = e.getResponse().getStatus();
        Reason reason = Errors.reason(status);
        String message =
                switch (reason) {
                    case NOT_FOUND -> "no such path: " + uri.getPath();
                    case METHOD_NOT_ALLOWED -> "this method is not allowed at " + uri.getPath();
                    case UNSUPPORTED_MEDIA_TYPE -> "expected a body with `Content-Type: application/json`";
                    case NOT_ACCEPTABLE -> "answers are application/json";
                    case BODY_TOO_LARGE -> "the body is larger than softcall.http.max-body-bytes";
                    default -> "the request was refused: " + e.getMessage();
                };
        return map(new SoftcallException(reason, message, e), headers);
    }

    @ServerExceptionMapper
    RestResponse<Errors.Body> map(Throwable e, HttpHeaders headers) {
        SoftcallException problem = Errors.unwrap(e);
        if (problem.reason() == Reason.INTERNAL) {
            LOG.error("a call failed", e);
        }
        return map(problem, headers);
    }
}
