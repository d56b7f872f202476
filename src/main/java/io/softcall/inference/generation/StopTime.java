package io.softcall.inference.generation;

import java.time.Duration;

/** When the server stops writing text. */
final class StopTime {

    private volatile boolean isSet;
    private volatile long nanos;

    void set(Duration left) {
        nanos = System.nanoTime() + left.toNanos();
        isSet = true;
    }

    boolean hasCome() {
        return isSet && System.nanoTime() - nanos >= 0;
    }
}
