package io.softcall.inference.generation;

import io.softcall.inference.text.ChatMessage;
import io.softcall.task.TaskName;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A request for text, independent of its protocol.
 *
 * @param sources at least one; each is answered {@code n} times
 * @param n how many answers each source gets, at least 1
 */
public record GenerationRequest(TaskName task, List<Source> sources, int n, Options options) {

    public GenerationRequest {
        sources = List.copyOf(sources);
    }

    /** Returns the number of answers to all sources. */
    public int answers() {
        return Math.multiplyExact(sources.size(), n);
    }

    /** What an answer continues. */
    public sealed interface Source {

        /** A text that fills the task's template. */
        record Text(String text) implements Source {}

        /** Token ids, at least one, which are taken as they are. */
        record Ids(long[] ids) implements Source {}

        /** A chat, at least one message, which fills the base's chat template. */
        record Chat(List<ChatMessage> messages) implements Source {

            public Chat {
                messages = List.copyOf(messages);
            }
        }
    }

    /**
     * What the caller sets. Where it is empty, the task's defaults hold, then those of OpenAI. {@link
     * io.softcall.inference.sampling.Sampling} explains the fields that it has, too. All values are in their ranges.
     *
     * @param maxTokens the bound on new tokens, at least 1
     * @param minTokens how many tokens come at least, before an end token or a stop text may end the answer
     * @param stop texts that end an answer, and are not part of it
     * @param includeStop whether a stop text is part of the answer after all
     * @param ignoreEos whether the base's end tokens are tokens like any other
     * @param topLogprobs how many tokens' log-probabilities are reported; empty: none
     * @param choices the answer is one of these texts; empty: any text
     */
    public record Options(
            OptionalInt maxTokens,
            int minTokens,
            Optional<List<String>> stop,
            boolean includeStop,
            boolean ignoreEos,
            OptionalDouble temperature,
            OptionalDouble topP,
            int topK,
            double minP,
            double repetitionPenalty,
            double presencePenalty,
            double frequencyPenalty,
            Map<Integer, Float> logitBias,
            OptionalLong seed,
            OptionalInt topLogprobs,
            List<String> choices) {

        /** Everything is left out. */
        public static final Options NONE = new Options(
                OptionalInt.empty(),
                0,
                Optional.empty(),
                false,
                false,
                OptionalDouble.empty(),
                OptionalDouble.empty(),
                0,
                0,
                1,
                0,
                0,
                Map.of(),
                OptionalLong.empty(),
                OptionalInt.empty(),
                List.of());

        public Options {
            stop = stop.map(List::copyOf);
            logitBias = Map.copyOf(logitBias);
            choices = List.copyOf(choices);
        }
    }
}
