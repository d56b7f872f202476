package io.softcall.inference.generation;

import jakarta.inject.Singleton;
import java.util.concurrent.CompletableFuture;

/** Writes text. */
@Singleton
public class Generator {

    /** Returns the number of the base's token ids; they begin with 0. */
    public int vocabulary() {
        throw new UnsupportedOperationException("under construction");
    }

    /**
     * Refuses a request that {@link #start} would refuse now, before any work is done for it. Does not wait.
     *
     * @throws io.softcall.SoftcallException {@code OVERLOADED}, {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}
     */
    public void admit(GenerationRequest request) {
        throw new UnsupportedOperationException("under construction");
    }

    /**
     * Starts to answer a request. Returns when the store has validated the version that answers, and the first token of each
     * answer has been computed.
     *
     * @param cancellation completes when the caller no longer waits
     * @throws io.softcall.SoftcallException if there is no answer
     */
    public Generation start(GenerationRequest request, CompletableFuture<Void> cancellation) {
        throw new UnsupportedOperationException("under construction");
    }
}
