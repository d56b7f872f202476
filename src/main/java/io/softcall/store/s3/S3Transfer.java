package io.softcall.store.s3;

import io.softcall.SoftcallException;
import io.softcall.store.Failures;
import io.softcall.store.TimeLimits;
import java.io.EOFException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * The transfer of one object, which must end in time. The rest of a large object is requested in several ranges at once. A
 * connection that breaks is replaced by a request for what is missing. All requests after the first name its ETag, so that no
 * content is put together from two versions.
 */
final class S3Transfer {

    /** Says that the object was replaced or removed during the transfer. */
    static final class ReplacedException extends Exception {
        private static final long serialVersionUID = 1;

        private ReplacedException(S3Exception cause) {
            super(cause);
        }
    }

    /** The size of a range. Smaller objects are read from their first answer. */
    static final int PART = 8 << 20;

    private static final int PARTS_AT_ONCE = 4;

    /** The number of connections in a row that may end without a byte. */
    private static final int ATTEMPTS = 3;

    private static final int PRECONDITION_FAILED = 412;
    private static final int PARTIAL = 206;

    private final S3Client client;
    private final ScheduledExecutorService clock;
    private final String uri;
    private final TimeLimits limits;
    private final long end;

    /**
     * @param clock ends connections at the end of the transfer's time
     * @param uri the address of the store, for messages
     */
    S3Transfer(S3Client client, ScheduledExecutorService clock, String uri, TimeLimits limits) {
        this.client = client;
        this.clock = clock;
        this.uri = uri;
        this.limits = limits;
        this.end = System.nanoTime() + limits.transfer().toNanos();
    }

    /**
     * Reads an answer of unknown length, which the caller closes.
     *
     * @param most the number of bytes after which the rest is left
     */
    byte[] read(ResponseInputStream<GetObjectResponse> answer, int most) {
        Future<?> timer = abortInTime(answer);
        try {
            return answer.readNBytes(most);
        } catch (IOException e) {
            throw failure(e);
        } finally {
            timer.cancel(false);
        }
    }

    /**
     * Reads an object, and closes the answer.
     *
     * @param answer the answer to {@code request}
     * @param eTag as the server sent it
     * @param bytes the size of the object
     * @throws ReplacedException if a range can no longer be had, because the object is another one now
     */
    byte[] read(ResponseInputStream<GetObjectResponse> answer, GetObjectRequest request, String eTag, int bytes)
            throws ReplacedException {
        GetObjectRequest ranges =
                request.toBuilder().ifNoneMatch(null).ifMatch(eTag).build();
        byte[] content = new byte[bytes];
        new Part(ranges, content, 0, Math.min(PART, bytes)).read(answer);
        if (bytes > PART) {
            readRest(ranges, content);
        }
        return content;
    }

    private void readRest(GetObjectRequest ranges, byte[] content) throws ReplacedException {
        List<Future<?>> parts = new ArrayList<>();
        try (ExecutorService threads =
                Executors.newFixedThreadPool(PARTS_AT_ONCE, Thread.ofVirtual().factory())) {
            for (int from = PART; from < content.length; from += PART) {
                Part part = new Part(ranges, content, from, Math.min(content.length, from + PART));
                parts.add(threads.submit(() -> {
                    part.read(part.request());
                    return null;
                }));
            }
            try {
                for (Future<?> part : parts) {
                    part.get();
                }
            } catch (ExecutionException e) {
                threads.shutdownNow();
                switch (e.getCause()) {
                    case ReplacedException replaced -> throw replaced;
                    case RuntimeException failure -> throw failure;
                    default -> throw new IllegalStateException(e.getCause());
                }
            } catch (InterruptedException e) {
                threads.shutdownNow();
                Thread.currentThread().interrupt();
                throw new SoftcallException(SoftcallException.Reason.STOPPING, "the server is stopping", e);
            }
        }
    }

    private Future<?> abortInTime(ResponseInputStream<GetObjectResponse> answer) {
        return clock.schedule(answer::abort, end - System.nanoTime(), TimeUnit.NANOSECONDS);
    }

    private RuntimeException failure(IOException e) {
        return System.nanoTime() - end >= 0 ? Failures.lateTransfer(uri) : SdkClientException.create(e.getMessage(), e);
    }

    /** The bytes of the content from {@code at} to {@code to}. */
    private final class Part {

        private final GetObjectRequest ranges;
        private final byte[] content;
        private final int to;
        private int at;

        Part(GetObjectRequest ranges, byte[] content, int from, int to) {
            this.ranges = ranges;
            this.content = content;
            this.at = from;
            this.to = to;
        }

        /** Reads this part from an answer, and from others while connections break. */
        void read(ResponseInputStream<GetObjectResponse> answer) throws ReplacedException {
            int idle = 0;
            while (true) {
                int before = at;
                try {
                    readFrom(answer);
                    return;
                } catch (IOException e) {
                    idle = at > before ? 0 : idle + 1;
                    if (idle == ATTEMPTS || System.nanoTime() - end >= 0) {
                        throw failure(e);
                    }
                }
                answer = request();
            }
        }

        private void readFrom(ResponseInputStream<GetObjectResponse> answer) throws IOException {
            Future<?> timer = abortInTime(answer);
            try (answer) {
                while (at < to) {
                    int read = answer.read(content, at, to - at);
                    if (read < 0) {
                        throw new EOFException("the connection ended after %d of %d bytes".formatted(at, to));
                    }
                    at += read;
                }
                if (to < content.length) {
                    answer.abort(); // or closing would read the rest
                }
            } finally {
                timer.cancel(false);
            }
        }

        /** Requests the rest of this part. */
        ResponseInputStream<GetObjectResponse> request() throws ReplacedException {
            Duration left = Duration.ofNanos(end - System.nanoTime());
            if (!left.isPositive()) {
                throw Failures.lateTransfer(uri);
            }
            Duration limit = left.compareTo(limits.answer()) < 0 ? left : limits.answer();
            String range = "bytes=%d-%d".formatted(at, to - 1);
            ResponseInputStream<GetObjectResponse> answer;
            try {
                answer = client.getObject(ranges.toBuilder()
                        .range(range)
                        .overrideConfiguration(override -> override.apiCallTimeout(limit))
                        .build());
            } catch (S3Exception e) {
                if (e.statusCode() == PRECONDITION_FAILED || S3Failures.isMissing(e)) {
                    throw new ReplacedException(e);
                }
                throw e;
            } catch (SdkClientException e) {
                throw System.nanoTime() - end >= 0 ? Failures.lateTransfer(uri) : e;
            }
            if (answer.response().sdkHttpResponse().statusCode() != PARTIAL) {
                answer.abort();
                throw S3Failures.strange(uri, "answered the request for a range, %s, with all".formatted(range));
            }
            return answer;
        }
    }
}
