package io.softcall.store.mirror;

import java.util.Optional;

/** Decides whether a mirror accepts a new version of an object. A store knows only bytes; this knows what they mean. */
public interface Acceptance {

    /** Returns the suffix of the keys whose objects are mirrored. */
    String suffix();

    /**
     * Validates a new version.
     *
     * @param content the content of the new version
     * @param held the content that it would replace; empty if there is none
     * @return the reason why it is refused; empty if it is accepted
     */
    Optional<String> refusal(String key, byte[] content, Optional<byte[]> held);
}
