package io.softcall.api.openai;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;

/**
 * The bounds of a request that only the server knows.
 *
 * @param texts how many answers a request may ask for ({@code softcall.limits.texts})
 * @param characters the UTF-16 units of a text or a chat ({@code softcall.limits.characters})
 * @param vocabulary the number of the base's token ids
 */
record RequestBounds(int texts, int characters, int vocabulary) {

    /** @throws SoftcallException {@code INVALID_REQUEST} if a request asks for too many answers */
    void requireAnswers(int sources, int n) {
        if ((long) sources * n > texts) {
            throw SoftcallException.invalid(
                    "%d prompts with n = %d ask for %d answers, at most %d are accepted (softcall.limits.texts)",
                    sources, n, (long) sources * n, texts);
        }
    }

    /** @throws SoftcallException {@code TEXT_TOO_LONG} */
    void requireCharacters(String name, long length) {
        if (length > characters) {
            throw new SoftcallException(
                    Reason.TEXT_TOO_LONG,
                    "%s has %d characters, at most %d are accepted (softcall.limits.characters)"
                            .formatted(name, length, characters));
        }
    }
}
