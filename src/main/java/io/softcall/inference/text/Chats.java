package io.softcall.inference.text;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.model.Bundle;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Clock;
import java.util.List;

/** Turns chats into token ids with the base's chat template, which is opened at the first chat. */
public final class Chats {

    private final Bundle bundle;
    /** Null before the first chat. Guarded by this object. */
    private ChatTemplate template;

    public Chats(Bundle bundle) {
        this.bundle = bundle;
    }

    /**
     * Returns the token ids of a chat, up to where the answer begins.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} if the base has no template, or its template refuses the messages;
     *     {@code BASE_UNAVAILABLE} if the template cannot be used
     */
    public long[] encode(List<ChatMessage> messages) {
        return template().encode(messages);
    }

    private synchronized ChatTemplate template() {
        if (template == null) {
            Bundle.ChatTemplateFile file = bundle.chatTemplate()
                    .orElseThrow(() -> SoftcallException.invalid(
                            "the base %s has no chat template: send text to /v1/completions", bundle.name()));
            template = new ChatTemplate(
                    read(file), file.bosToken(), file.eosToken(), bundle.tokenizer(), Clock.systemDefaultZone());
        }
        return template;
    }

    private static String read(Bundle.ChatTemplateFile file) {
        try {
            return Files.readString(file.file());
        } catch (IOException e) {
            throw new SoftcallException(Reason.BASE_UNAVAILABLE, "the base's chat template cannot be read", e)
                    .withDetail("%s", e);
        }
    }
}
