package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.util.Set;
import software.amazon.awssdk.core.exception.ApiCallTimeoutException;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** What S3's failures mean here: refused credentials, which somebody must mend, or a server that is away. */
final class S3Failures {

    private static final Set<String> CREDENTIAL_ERRORS = Set.of(
            "AccessDenied",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "RequestTimeTooSkewed",
            "NoSuchBucket");

    private S3Failures() {}

    /** @param uri of the store, for the message */
    static SoftcallException late(String uri) {
        return new SoftcallException(
                Reason.STORE_UNAVAILABLE, "store %s did not answer in time (softcall.store.timeout)".formatted(uri));
    }

    /** @param uri of the store, for the message */
    static SoftcallException of(String uri, SdkException e) {
        if (e instanceof S3Exception s3 && s3.awsErrorDetails() != null) {
            String code = s3.awsErrorDetails().errorCode();
            String message = "store %s answered %d %s: %s"
                    .formatted(uri, s3.statusCode(), code, s3.awsErrorDetails().errorMessage());
            boolean denied = s3.statusCode() == 403 || s3.statusCode() == 401 || CREDENTIAL_ERRORS.contains(code);
            return denied
                    ? new SoftcallException(
                            Reason.STORE_DENIED,
                            message + "; check the credentials, their policy and the bucket's name",
                            e)
                    : new SoftcallException(Reason.STORE_UNAVAILABLE, message, e);
        }
        if (e instanceof ApiCallTimeoutException) {
            return late(uri);
        }
        if (e instanceof SdkClientException && String.valueOf(e.getMessage()).contains("Unable to load credentials")) {
            return new SoftcallException(
                    Reason.STORE_DENIED,
                    "store %s: no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a role"
                            .formatted(uri),
                    e);
        }
        return new SoftcallException(
                Reason.STORE_UNAVAILABLE, "store %s cannot be reached: %s".formatted(uri, e.getMessage()), e);
    }
}
