package io.softcall.store.mirror;

import java.util.Optional;

/** What decides whether a mirror takes a new version of an object. A store knows bytes; this knows what they mean. */
public interface Acceptance {

    /** How the keys end whose objects are mirrored. */
    String suffix();

    /**
     * @param content of the new version
     * @param held what it would replace; empty where nothing would be
     * @return why it is not taken; empty: it is
     */
    Optional<String> refusal(String key, byte[] content, Optional<byte[]> held);
}
