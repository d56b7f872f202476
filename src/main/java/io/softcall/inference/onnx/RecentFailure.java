package io.softcall.inference.onnx;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;

/**
 * A failure to open a graph. It is not tried again for a while, because a failed attempt costs as much as a successful one, and
 * people must repair the files.
 *
 * @param nanos when it failed, a value of {@link System#nanoTime}
 */
record RecentFailure(SoftcallException problem, long nanos) {

    private static final Duration PAUSE = Duration.ofSeconds(10);

    /**
     * Returns a failure of now.
     *
     * @param what what could not be opened
     */
    static RecentFailure of(String what, RuntimeException cause) {
        SoftcallException problem = new SoftcallException(Reason.BASE_UNAVAILABLE, what + " cannot be used", cause)
                .withDetail("%s", cause.getMessage());
        return new RecentFailure(problem, System.nanoTime());
    }

    boolean isRecent() {
        return System.nanoTime() - nanos < PAUSE.toNanos();
    }
}
