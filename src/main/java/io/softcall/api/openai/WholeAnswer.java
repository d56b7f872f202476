package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.api.http.HeldBytes;
import io.softcall.inference.generation.Generation;
import io.softcall.inference.generation.Generation.Finish;
import io.softcall.inference.generation.Generation.Piece;
import io.softcall.inference.generation.Generation.Token;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Collects the pieces of an answer that is sent as a whole. Its memory counts until it is closed. */
final class WholeAnswer implements AutoCloseable {

    private static final JsonFactory JSON = new JsonFactory();

    /** Estimates of the memory of a piece and of a log-probability, with what is written of them. */
    private static final int PIECE_BYTES = 64;

    private static final int SCORE_BYTES = 256;

    private final TextRequest request;
    private final HeldBytes held;
    private final boolean scored;
    private final List<Choice> choices = new ArrayList<>();
    private long completionTokens;
    private long bytes;

    /** The pieces of one choice so far. */
    private static final class Choice {
        private final StringBuilder text = new StringBuilder();
        private final List<Token> tokens = new ArrayList<>();
        private Optional<Finish> finish = Optional.empty();
    }

    WholeAnswer(TextRequest request, HeldBytes held) {
        this.request = request;
        this.held = held;
        this.scored = request.generation().options().topLogprobs().isPresent();
        for (int i = 0; i < request.answers(); i++) {
            choices.add(new Choice());
        }
    }

    /**
     * Waits for all pieces.
     *
     * @throws io.softcall.SoftcallException if an answer fails, or {@code OVERLOADED} if there is no memory for this one
     */
    void collect(Generation generation) {
        for (Optional<Piece> piece = generation.next(); piece.isPresent(); piece = generation.next()) {
            add(piece.get());
        }
    }

    private void add(Piece piece) {
        hold(PIECE_BYTES + 4L * piece.text().length());
        completionTokens += piece.tokens().size();
        Choice choice = choices.get(piece.index());
        choice.text.append(piece.text());
        choice.finish = piece.finish();
        if (scored) {
            for (Token token : piece.tokens()) {
                hold((long) SCORE_BYTES * (1 + token.top().size()));
                choice.tokens.add(token);
            }
        }
    }

    private void hold(long more) {
        held.hold(more);
        bytes += more;
    }

    /** Returns the answer as JSON in UTF-8. */
    byte[] json(AnswerHead head, int promptTokens) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(out)) {
            json.writeStartObject();
            head.write(json, request.form().object());
            json.writeArrayFieldStart("choices");
            for (int i = 0; i < choices.size(); i++) {
                Choice choice = choices.get(i);
                request.form()
                        .choices()
                        .whole(
                                json,
                                new ChoiceWriter.Content(
                                        i, choice.text.toString(), choice.tokens, scored, 0, choice.finish));
            }
            json.writeEndArray();
            AnswerHead.usage(json, promptTokens, completionTokens);
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing into memory needs no output", e);
        }
        return out.toByteArray();
    }

    @Override
    public void close() {
        held.release(bytes);
    }
}
