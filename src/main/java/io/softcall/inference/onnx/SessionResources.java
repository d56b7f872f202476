package io.softcall.inference.onnx;

import io.softcall.inference.model.Cores;

/**
 * What one session may use of the machine.
 *
 * @param threads that compute one forward pass together; 0: one a core, of which there are {@link Cores#usable}
 * @param spinMicros how long each thread spins for its next piece of work before it sleeps; 0: it sleeps at once
 * @param keepMemory whether the memory of one forward pass is kept for the next
 */
public record SessionResources(int threads, int spinMicros, boolean keepMemory) {

    public SessionResources {
        threads = threads > 0 ? threads : Cores.usable();
    }

    /** The share of each of several concurrent forward passes: its part of the threads, at least one. */
    public SessionResources shareOf(int passes) {
        return new SessionResources(Math.max(1, threads / passes), spinMicros, keepMemory);
    }
}
