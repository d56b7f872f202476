package io.softcall.inference.text;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.Surrogates;
import io.softcall.inference.jinja.Template;
import io.softcall.inference.jinja.TemplateException;
import io.softcall.inference.model.GuardedTokenizer;
import java.nio.file.Path;
import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Turns chats into token ids with the base's {@code chat_template.jinja}, as transformers' {@code apply_chat_template} does. Only
 * the template writes special tokens: in a message their strings are text like any other, so that nobody forges a turn. Safe for
 * use by several threads.
 */
public final class ChatTemplate implements AutoCloseable {

    private final Template template;
    private final GuardedTokenizer tokenizer;
    private final Optional<String> bos;
    private final Optional<String> eos;

    /**
     * Opens a second tokenizer, which takes a fraction of a second and some memory. So it is opened when the first chat comes.
     *
     * @param template the text of {@code chat_template.jinja}
     * @param bos the template's variable {@code bos_token}; undefined if empty
     * @param eos the template's variable {@code eos_token}; undefined if empty
     * @param tokenizer the base's {@code tokenizer.json}
     * @param clock tells the date to templates that ask for it
     * @throws SoftcallException {@code BASE_UNAVAILABLE} if the template cannot be parsed, or the tokenizer cannot be used
     */
    public ChatTemplate(String template, Optional<String> bos, Optional<String> eos, Path tokenizer, Clock clock) {
        this.bos = bos;
        this.eos = eos;
        try {
            this.template = new Template(template, clock);
            this.tokenizer = new GuardedTokenizer(tokenizer);
        } catch (TemplateException e) {
            throw faulty(e);
        } catch (IllegalArgumentException e) {
            throw new SoftcallException(Reason.BASE_UNAVAILABLE, "the base takes no chats: " + e.getMessage(), e);
        }
    }

    private static SoftcallException faulty(TemplateException e) {
        return new SoftcallException(
                Reason.BASE_UNAVAILABLE, "the base's chat_template.jinja cannot be used: " + e.getMessage(), e);
    }

    /**
     * Returns the token ids of a chat, up to where the assistant's next message begins.
     *
     * @param messages their roles are {@code system}, {@code user} or {@code assistant}
     * @throws SoftcallException {@code INVALID_REQUEST} if the template refuses the messages, or one holds what the tokenizer
     *     takes for a special token after all; {@code BASE_UNAVAILABLE} if the template is faulty
     */
    public long[] encode(List<ChatMessage> messages) {
        try {
            return tokenizer.encode(render(messages));
        } catch (IllegalArgumentException e) {
            throw SoftcallException.invalid("messages: %s", e.getMessage());
        }
    }

    /** Returns the text of a chat, in which the messages are guarded. */
    private String render(List<ChatMessage> messages) {
        Map<String, Object> variables = new HashMap<>();
        variables.put(
                "messages",
                messages.stream()
                        .map(message -> Map.of(
                                "role",
                                message.role(),
                                "content",
                                tokenizer.guard(Surrogates.replaced(message.content()))))
                        .toList());
        variables.put("add_generation_prompt", true);
        bos.ifPresent(token -> variables.put("bos_token", token));
        eos.ifPresent(token -> variables.put("eos_token", token));
        // transformers defines these, too.
        variables.put("tools", null);
        variables.put("documents", null);
        try {
            return template.render(variables);
        } catch (TemplateException e) {
            if (e.isRaised()) {
                throw SoftcallException.invalid(
                        "messages: the base's chat template refuses them: %s", tokenizer.unguard(e.getMessage()));
            }
            throw faulty(e);
        }
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
