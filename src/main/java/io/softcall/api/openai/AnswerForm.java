package io.softcall.api.openai;

import java.util.Optional;
import java.util.UUID;

/** How answers are written: as completions or as chats. */
enum AnswerForm {
    COMPLETION("cmpl-", "text_completion", "text_completion", new CompletionChoices()),
    CHAT("chatcmpl-", "chat.completion", "chat.completion.chunk", new ChatChoices());

    private final String idPrefix;
    private final String object;
    private final String chunkObject;
    private final ChoiceWriter choices;

    AnswerForm(String idPrefix, String object, String chunkObject, ChoiceWriter choices) {
        this.idPrefix = idPrefix;
        this.object = object;
        this.chunkObject = chunkObject;
        this.choices = choices;
    }

    /** Returns the id of an answer, with the caller's id of the request if there is one. */
    String id(Optional<String> request) {
        return idPrefix + request.orElseGet(() -> UUID.randomUUID().toString());
    }

    /** Returns OpenAI's name for an answer that is sent as a whole. */
    String object() {
        return object;
    }

    /** Returns OpenAI's name for one event of a streamed answer. */
    String chunkObject() {
        return chunkObject;
    }

    ChoiceWriter choices() {
        return choices;
    }
}
