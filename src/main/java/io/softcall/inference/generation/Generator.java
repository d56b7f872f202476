package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** Writes text. */
public interface Generator {

    /** Returns the number of token ids of the base. */
    int vocabulary();

    /**
     * Refuses a request that {@link #start} would refuse now, before any work is done for it. Does not wait.
     *
     * @throws SoftcallException {@code OVERLOADED}, {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}
     */
    void admit(GenerationRequest request);

    /**
     * Starts to answer a request. Returns when the store has validated the version that answers, and the first token has been
     * computed.
     *
     * @param cancellation completes when the caller no longer waits
     * @throws SoftcallException if there is no answer
     */
    Generation start(GenerationRequest request, CompletableFuture<Void> cancellation);

    /** Ends all answers with {@code STOPPING} that are not finished in this time, because the server is stopping. */
    void endWithin(Duration time);
}
