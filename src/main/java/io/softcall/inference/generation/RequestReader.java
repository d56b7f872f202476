package io.softcall.inference.generation;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Deadline;
import io.softcall.inference.generation.GenerationRequest.Options;
import io.softcall.inference.generation.GenerationRequest.Source;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.sampling.Choices;
import io.softcall.inference.sampling.Sampling;
import io.softcall.inference.text.Chats;
import io.softcall.task.Kind;
import io.softcall.task.Task;
import io.softcall.task.Template;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;

/** Turns a request into token ids and settings: the caller's, then the task's, then OpenAI's. */
final class RequestReader {

    /** OpenAI's default of new tokens for completions; chats have none. */
    private static final int COMPLETION_TOKENS = 16;

    /** The distance of the seeds of two answers; Steele et al. 2014, SplitMix. */
    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

    private final Tokenizer tokenizer;
    private final Chats chats;
    private final Bundle bundle;
    private final InferenceConfig.Limits limits;
    private final GenerationConfig config;
    private final long room;

    /** @param room the tokens for which there is memory at all */
    RequestReader(
            Tokenizer tokenizer,
            Chats chats,
            Bundle bundle,
            InferenceConfig.Limits limits,
            GenerationConfig config,
            long room) {
        this.tokenizer = tokenizer;
        this.chats = chats;
        this.bundle = bundle;
        this.limits = limits;
        this.config = config;
        this.room = room;
    }

    /**
     * One source, ready to be read.
     *
     * @param ids its tokens with the template, without the prompt
     * @param maxTokens the bound on new tokens of each answer
     * @param sampling the settings of each answer, which differ in their seeds
     * @param stop texts that end an answer
     * @param choices the texts of which an answer is one; empty: any text
     */
    record Reading(
            long[] ids,
            int maxTokens,
            List<Sampling> sampling,
            List<String> stop,
            Optional<Choices> choices,
            Options options) {}

    /** Checks what can be checked without the task, and quickly. @throws SoftcallException naming the source */
    void check(GenerationRequest request) {
        int most = limits.texts();
        if (request.sources().isEmpty() || request.answers() > most) {
            throw SoftcallException.invalid(
                    "%d answers are wanted, expected 1 to %d (softcall.limits.texts)", request.answers(), most);
        }
    }

    /**
     * Reads the sources for one version of a task.
     *
     * @throws SoftcallException {@code INVALID_REQUEST} or {@code TEXT_TOO_LONG}, naming the source or the field
     */
    List<Reading> read(Task task, GenerationRequest request, Deadline deadline) {
        List<Reading> readings = new ArrayList<>();
        Options options = request.options();
        List<long[]> choices = choices(options);
        Optional<Choices> trie = choices.isEmpty() ? Optional.empty() : Optional.of(new Choices(choices));
        long seed = options.seed().orElseGet(() -> ThreadLocalRandom.current().nextLong());
        for (int i = 0; i < request.sources().size(); i++) {
            deadline.check();
            Source source = request.sources().get(i);
            String name = source instanceof Source.Chat ? "messages" : "prompt[%d]".formatted(i);
            long[] ids = ids(task, source, name);
            int maxTokens = maxTokens(task, ids.length, options.maxTokens());
            requireWithin(maxTokens, choices);
            long tokens = (long) task.promptTokens() + ids.length + maxTokens;
            if (tokens * request.n() > room) {
                throw new SoftcallException(
                        Reason.TEXT_TOO_LONG,
                        "%d answers to %s need keys and values of %d tokens each, and there is memory for %d in all (softcall.generation.kv-bytes)"
                                .formatted(request.n(), name, tokens, room));
            }
            List<Sampling> sampling = new ArrayList<>();
            for (int answer = 0; answer < request.n(); answer++) {
                sampling.add(sampling(task, options, seed + GOLDEN_GAMMA * ((long) i * request.n() + answer)));
            }
            readings.add(new Reading(ids, maxTokens, sampling, stop(task, options), trie, options));
            // Native code blocks the carrier of this virtual thread, so other virtual threads run between sources.
            Thread.yield();
        }
        return readings;
    }

    /** Returns the token ids of the choices. */
    private List<long[]> choices(Options options) {
        List<long[]> choices = options.choices().stream().map(tokenizer::encode).toList();
        for (int i = 0; i < choices.size(); i++) {
            if (choices.get(i).length == 0) {
                throw SoftcallException.invalid("choice[%d] is empty, expected at least one token", i);
            }
        }
        return choices;
    }

    private static void requireWithin(int maxTokens, List<long[]> choices) {
        for (int i = 0; i < choices.size(); i++) {
            if (choices.get(i).length > maxTokens) {
                throw SoftcallException.invalid(
                        "choice[%d] has %d tokens, expected at most max_tokens, which is %d",
                        i, choices.get(i).length, maxTokens);
            }
        }
    }

    private long[] ids(Task task, Source source, String name) {
        Kind.Generation kind = task.generation();
        long[] ids =
                switch (source) {
                    case Source.Text(String text) ->
                        tokenizer.encode(completion(task, kind), List.of(text), Integer.MAX_VALUE, false);
                    case Source.Ids(long[] given) -> {
                        completion(task, kind);
                        yield known(given, name);
                    }
                    case Source.Chat chat -> chat(task, kind, chat);
                };
        if (ids.length == 0) {
            throw SoftcallException.invalid("%s is empty, expected at least one token", name);
        }
        int most = Math.min(limits.tokens(), bundle.maxPositions() - task.promptTokens() - 1);
        if (ids.length > most) {
            throw new SoftcallException(
                    Reason.TEXT_TOO_LONG,
                    "%s has %d tokens with its template, at most %d are accepted (softcall.limits.tokens, and the base's positions behind the prompt)"
                            .formatted(name, ids.length, most));
        }
        return ids;
    }

    private static Template completion(Task task, Kind.Generation kind) {
        return kind.template()
                .orElseThrow(() -> SoftcallException.invalid(
                        "task \"%s\" takes chats, not completions: send it to /v1/chat/completions", task.name()));
    }

    private long[] known(long[] ids, String name) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= bundle.vocabulary()) {
                throw SoftcallException.invalid(
                        "%s[%d] is the token id %d, expected 0 to %d", name, i, ids[i], bundle.vocabulary() - 1);
            }
        }
        return ids;
    }

    private long[] chat(Task task, Kind.Generation kind, Source.Chat chat) {
        if (!kind.chat()) {
            throw SoftcallException.invalid(
                    "task \"%s\" takes completions, not chats: send it to /v1/completions", task.name());
        }
        // Each message has a token at least. This is said before the template is rendered, whose time is bounded.
        if (chat.messages().size() > limits.tokens()) {
            throw new SoftcallException(
                    Reason.TEXT_TOO_LONG,
                    "messages has %d messages, at most %d tokens are accepted (softcall.limits.tokens)"
                            .formatted(chat.messages().size(), limits.tokens()));
        }
        return chats.encode(chat.messages());
    }

    /** @param ids the number of the source's tokens */
    private int maxTokens(Task task, int ids, OptionalInt wanted) {
        Kind.Generation kind = task.generation();
        int left = bundle.maxPositions() - task.promptTokens() - ids;
        if (wanted.isPresent()) {
            int most = Math.min(config.maxTokens(), left);
            if (wanted.getAsInt() > most) {
                throw SoftcallException.invalid(
                        "max_tokens is %d, expected 1 to %d (softcall.generation.max-tokens, and the base's positions behind prompt and text)",
                        wanted.getAsInt(), most);
            }
            return wanted.getAsInt();
        }
        int usual = kind.defaults().maxTokens().orElse(kind.chat() ? config.maxTokens() : COMPLETION_TOKENS);
        return Math.min(Math.min(usual, config.maxTokens()), left);
    }

    private static List<String> stop(Task task, Options options) {
        return options.stop().orElse(task.generation().defaults().stop());
    }

    private static Sampling sampling(Task task, Options options, long seed) {
        Kind.Defaults defaults = task.generation().defaults();
        return new Sampling(
                or(options.temperature(), defaults.temperature()),
                or(options.topP(), defaults.topP()),
                options.topK(),
                options.minP(),
                options.repetitionPenalty(),
                options.presencePenalty(),
                options.frequencyPenalty(),
                options.logitBias(),
                seed,
                options.topLogprobs());
    }

    /** Returns what the caller sets, or else the task, or else OpenAI's default, which is 1. */
    private static double or(OptionalDouble caller, OptionalDouble task) {
        return caller.orElse(task.orElse(1));
    }
}
