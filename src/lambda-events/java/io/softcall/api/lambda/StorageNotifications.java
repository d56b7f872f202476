package io.softcall.api.lambda;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.jobs.Jobs;
import jakarta.inject.Named;
import jakarta.inject.Singleton;

/** Notifications of S3: files that landed in a bucket. The answer says how the jobs ended; a failure is Lambda's to try again. */
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
