package io.softcall.inference.onnx.session;

import io.softcall.inference.model.Cores;

/**
 * The resources of the machine that one session may use.
 *
 * @param threads the number of threads that compute one forward pass together; 0: one for each of the {@link Cores#usable}
 *     cores
 * @param spinMicros how long each thread spins for its next operation before it sleeps, in microseconds; 0: it sleeps at once
 * @param keepMemory whether the memory of one forward pass is kept for the next one
 */
public record SessionResources(int threads, int spinMicros, boolean keepMemory) {

    public SessionResources {
        threads = threads > 0 ? threads : Cores.usable();
    }

    /** Returns the share of each of several concurrent forward passes: its part of the threads, at least one. */
    public SessionResources shareOf(int passes) {
        return new SessionResources(Math.max(1, threads / passes), spinMicros, keepMemory);
    }
}
