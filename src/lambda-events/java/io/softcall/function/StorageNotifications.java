package io.softcall.function;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import jakarta.enterprise.inject.Instance;
import jakarta.inject.Named;
import jakarta.inject.Singleton;
import java.util.Optional;

/** Notifications of S3: files that landed in a bucket. The answer says how the job ended; a failure is Lambda's to try again. */
@Named("s3")
@Singleton
public class StorageNotifications implements RequestHandler<JsonNode, Object> {

    private final Instance<Files> files;

    StorageNotifications(Instance<Files> files) {
        this.files = files;
    }

    /** What classifies the files that a notification names. */
    interface Files {

        /**
         * Does what the notification asks for, and waits until it is done.
         *
         * @return how it ended; empty when there is nothing to do
         * @throws SoftcallException whatever stands in the way
         */
        Optional<?> handle(JsonNode notification);
    }

    @Override
    public Object handleRequest(JsonNode notification, Context context) {
        if (files.isUnsatisfied()) {
            throw new SoftcallException(Reason.NOT_FOUND, "this build has nothing that classifies stored files");
        }
        return files.get().handle(notification).orElse(null);
    }
}
