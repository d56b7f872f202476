package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Score;
import io.softcall.inference.generation.Generation.Token;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Writes the choices of an answer, each as one JSON object. */
interface ChoiceWriter {

    /** OpenAI's stand-in for log-probabilities that are lower, and for those of impossible tokens. */
    double LOWEST_LOGPROB = -9_999;

    /**
     * A choice, or a piece of one.
     *
     * @param index the number of the answer
     * @param tokens the tokens whose log-probabilities are written
     * @param scored whether log-probabilities are written
     * @param offset where the first of these tokens begins in the whole text, in Unicode characters
     * @param finish why the answer has ended; empty while it goes on
     */
    record Content(int index, String text, List<Token> tokens, boolean scored, int offset, Optional<Finish> finish) {

        /** Returns where the token after these begins. */
        int end() {
            int end = offset;
            for (Token token : tokens) {
                end += characters(token.score().map(Score::text).orElse(""));
            }
            return end;
        }

        static int characters(String text) {
            return text.codePointCount(0, text.length());
        }
    }

    /** Returns whether each choice of a stream begins with an event of its own. */
    boolean hasOpening();

    /** Writes the event with which a choice begins. */
    void opening(JsonGenerator json, int index) throws IOException;

    /** Writes a choice that is sent as a whole. */
    void whole(JsonGenerator json, Content choice) throws IOException;

    /** Writes a piece of a choice. */
    void piece(JsonGenerator json, Content piece) throws IOException;

    /** Writes the field {@code finish_reason}. */
    static void finish(JsonGenerator json, Optional<Finish> finish) throws IOException {
        json.writeFieldName("finish_reason");
        if (finish.isPresent()) {
            json.writeString(finish.get().name().toLowerCase(Locale.ROOT));
        } else {
            json.writeNull();
        }
    }

    /** Returns a log-probability that JSON can hold. */
    static double logprob(Score score) {
        return score.logprob() > LOWEST_LOGPROB ? score.logprob() : LOWEST_LOGPROB;
    }
}
