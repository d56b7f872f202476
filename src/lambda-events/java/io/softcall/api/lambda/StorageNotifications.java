package io.softcall.api.lambda;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.jobs.Jobs;
import jakarta.inject.Named;
import jakarta.inject.Singleton;

/**
 * Handles notifications of S3 about stored files. The answer contains the outcomes of the jobs; Lambda retries after a
 * failure.
 */
@Named("s3")
@Singleton
public class StorageNotifications implements RequestHandler<JsonNode, Object> {

    private final Jobs jobs;

    StorageNotifications(Jobs jobs) {
        this.jobs = jobs;
    }

    @Override
    public Object handleRequest(JsonNode notification, Context context) {
        return jobs.handle(notification).body().orElse(null);
    }
}
