package io.softcall.store.s3;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Failures;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.exception.ApiCallAttemptTimeoutException;
import software.amazon.awssdk.core.exception.ApiCallTimeoutException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Turns S3's failures into exceptions: {@code STORE_DENIED} for refused credentials, which an operator must repair, and
 * {@code STORE_UNAVAILABLE} for an unavailable server. Answers do not come only from S3: a proxy may send pages of its own,
 * redirects or empty bodies. The server's words appear only in the detail, and parts of a request never appear.
 */
final class S3Failures {

    private static final Set<String> CREDENTIAL_ERRORS = Set.of(
            "AccessDenied",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "RequestTimeTooSkewed",
            "NoSuchBucket",
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "AuthorizationQueryParametersError",
            "IllegalLocationConstraintException");

    private static final Set<Integer> STATUSES_OF_ANOTHER_REGION = Set.of(301, 400);
    private static final Pattern EXPECTED_REGION = Pattern.compile("expecting '([a-z0-9-]{1,40})'");
    private static final Pattern REGION = Pattern.compile("[a-z0-9-]{1,40}");

    private static final Pattern IDENTITY =
            Pattern.compile("\\b(?:WebIdentityTokenFile|Profile|Container)CredentialsProvider\\(.*?\\): (.*?)"
                    + "(?=, \\w+CredentialsProvider\\(|]$)");
    /** Separates the list of the providers that the SDK tries from their results. */
    private static final String TRIED = "]) : [";

    private static final List<String> NOT_CONFIGURED = List.of(
            "must be set", "contained no credentials for profile", "neither AWS_CONTAINER_CREDENTIALS_FULL_URI");

    /** Recognizes parts of a request, because servers and proxies may repeat what they were sent. */
    private static final Pattern OF_A_REQUEST = Pattern.compile(
            "AWS4-|X-Amz-[a-z-]+\\s*[=:]|(authorization|signature|credential|token)\\s*[=:]", Pattern.CASE_INSENSITIVE);

    private S3Failures() {}

    /** Returns the exception for an answer that no S3 server gives. */
    static SoftcallException strange(String uri, String what) {
        return new SoftcallException(Reason.STORE_UNAVAILABLE, "the store's answer cannot be understood")
                .withDetail("store %s %s; check that AWS_ENDPOINT_URL is the address of an S3 server", uri, what);
    }

    /**
     * Returns the exception for a failure of the SDK.
     *
     * @param uri the address of the store, for the message
     * @param e an exception of the SDK, or one that contains a {@link SoftcallException}, such as that of {@link #strange}
     */
    static SoftcallException of(String uri, RuntimeException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof SoftcallException known) {
                return known;
            }
            if (cause instanceof ApiCallTimeoutException || cause instanceof ApiCallAttemptTimeoutException) {
                return Failures.late(uri);
            }
        }
        return switch (e) {
            case S3Exception answer -> answered(uri, answer);
            case SdkException failure
            when message(failure).contains("Unable to load credentials") ->
                new SoftcallException(Reason.STORE_DENIED, "there are no credentials for the store", e)
                        .withDetail(
                                "store %s: no credentials found%s; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a role",
                                uri, refusedIdentities(failure));
            case SdkException failure ->
                new SoftcallException(Reason.STORE_UNAVAILABLE, "the store cannot be reached", e)
                        .withDetail("store %s: %s", uri, message(failure));
            default ->
                new SoftcallException(Reason.STORE_UNAVAILABLE, "the store's answer cannot be understood", e)
                        .withDetail("store %s: %s", uri, withoutRequest(e.toString()));
        };
    }

    /**
     * Returns the reasons why configured identities gave no credentials. The SDK's message lists all providers, most of which
     * are not configured.
     */
    private static String refusedIdentities(SdkException e) {
        String tried = e.getMessage().substring(Math.max(0, e.getMessage().indexOf(TRIED)));
        String reasons = IDENTITY.matcher(tried)
                .results()
                .map(identity -> identity.group(1))
                .filter(reason -> NOT_CONFIGURED.stream().noneMatch(reason::contains))
                .collect(Collectors.joining("; "));
        return reasons.isEmpty() ? "" : " (" + withoutRequest(reasons) + ")";
    }

    private static SoftcallException answered(String uri, S3Exception e) {
        String said = code(e).map(code -> code + ": " + message(e)).orElse("without an error code of S3");
        Optional<String> region = region(e);
        if (region.isPresent()) {
            return denied(
                    e,
                    "store %s answered %d %s; the bucket is in the region %s, which must be set as AWS_REGION"
                            .formatted(uri, e.statusCode(), said, region.get()));
        }
        boolean refused = e.statusCode() == 403 || e.statusCode() == 401;
        if (refused || code(e).filter(CREDENTIAL_ERRORS::contains).isPresent()) {
            return denied(
                    e,
                    "store %s answered %d %s; check the credentials, their policy, the region and the bucket's name"
                            .formatted(uri, e.statusCode(), said));
        }
        return new SoftcallException(Reason.STORE_UNAVAILABLE, "the store answered with status " + e.statusCode(), e)
                .withDetail("store %s answered %d %s", uri, e.statusCode(), said);
    }

    private static SoftcallException denied(S3Exception e, String detail) {
        return new SoftcallException(Reason.STORE_DENIED, "the store refuses access", e).withDetail("%s", detail);
    }

    /** Returns S3's error code; empty if the answer did not come from S3, or had no body. */
    static Optional<String> code(S3Exception e) {
        return Optional.ofNullable(e.awsErrorDetails())
                .map(AwsErrorDetails::errorCode)
                .filter(code -> !code.isBlank());
    }

    /** Returns whether S3 itself says that the object is missing. A proxy's 404 without an error code of S3 does not count. */
    static boolean isMissing(S3Exception e) {
        return e instanceof NoSuchKeyException
                || e.statusCode() == 404
                        && code(e).filter(code -> !code.equals("NoSuchBucket")).isPresent();
    }

    /** Returns the bucket's region, if the request went to another one. */
    private static Optional<String> region(S3Exception e) {
        if (!STATUSES_OF_ANOTHER_REGION.contains(e.statusCode())) {
            return Optional.empty();
        }
        Matcher expected = EXPECTED_REGION.matcher(message(e));
        return expected.find()
                ? Optional.of(expected.group(1))
                : Optional.ofNullable(e.awsErrorDetails())
                        .map(AwsErrorDetails::sdkHttpResponse)
                        .flatMap(response -> response.firstMatchingHeader("x-amz-bucket-region"))
                        .filter(region -> REGION.matcher(region).matches());
    }

    private static String message(SdkException e) {
        String message = e instanceof S3Exception s3 && s3.awsErrorDetails() != null
                ? s3.awsErrorDetails().errorMessage()
                : e.getMessage();
        return withoutRequest(message == null ? "" : message);
    }

    private static String withoutRequest(String message) {
        return OF_A_REQUEST.matcher(message).find() ? "(its message repeats the request)" : message;
    }
}
