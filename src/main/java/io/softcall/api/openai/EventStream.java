package io.softcall.api.openai;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import io.softcall.inference.generation.Generation;
import io.softcall.inference.generation.Generation.Piece;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Writes an answer piece by piece, as server-sent events. What all events have in common is written once, and copied into
 * each of them.
 */
final class EventStream {

    private static final JsonFactory JSON =
            new JsonFactoryBuilder().rootValueSeparator((String) null).build();

    private static final String DATA = "data: ";
    private static final String END = "\n\n";
    private static final byte[] DONE = (DATA + "[DONE]" + END).getBytes(StandardCharsets.US_ASCII);

    private final TextRequest request;
    private final TextRequest.Streaming streaming;
    private final PacedResponse response;
    private final boolean scored;
    /** By choice: where its next token begins. */
    private final int[] offsets;

    private final ByteArrayOutputStream event = new ByteArrayOutputStream(1_024);
    private String before = "";
    private String after = "";
    private long completionTokens;

    /** Writes one JSON value. */
    @FunctionalInterface
    private interface Value {
        void write(JsonGenerator json) throws IOException;
    }

    EventStream(TextRequest request, TextRequest.Streaming streaming, PacedResponse response) {
        this.request = request;
        this.streaming = streaming;
        this.response = response;
        this.scored = request.generation().options().topLogprobs().isPresent();
        this.offsets = new int[request.answers()];
    }

    /**
     * Sends all events, each as soon as its piece is there, and waits until they have left.
     *
     * @throws io.softcall.SoftcallException if an answer fails, or its caller has gone
     */
    void send(Generation generation, AnswerHead head) {
        frame(head);
        ChoiceWriter choices = request.form().choices();
        try (JsonGenerator json = JSON.createGenerator(event)) {
            for (int i = 0; choices.hasOpening() && i < request.answers(); i++) {
                int index = i;
                write(json, value -> choices.opening(value, index));
            }
            for (Optional<Piece> piece = generation.next(); piece.isPresent(); piece = generation.next()) {
                piece(json, choices, piece.get());
            }
        } catch (IOException e) {
            throw new UncheckedIOException("writing into memory needs no output", e);
        }
        if (streaming.usage()) {
            response.write(usage(head, generation.promptTokens()));
        }
        response.end(DONE);
    }

    private void piece(JsonGenerator json, ChoiceWriter choices, Piece piece) throws IOException {
        completionTokens += piece.tokens().size();
        boolean withScores = scored && !piece.tokens().isEmpty();
        if (piece.text().isEmpty() && piece.finish().isEmpty() && !withScores) {
            return;
        }
        ChoiceWriter.Content content = new ChoiceWriter.Content(
                piece.index(), piece.text(), piece.tokens(), withScores, offsets[piece.index()], piece.finish());
        offsets[piece.index()] = content.end();
        write(json, value -> choices.piece(value, content));
    }

    private void write(JsonGenerator json, Value choice) throws IOException {
        json.writeRaw(before);
        choice.write(json);
        json.writeRaw(after);
        json.flush();
        response.write(event.toByteArray());
        event.reset();
    }

    /** Writes what comes before and after the choice of each event. */
    private void frame(AnswerHead head) {
        String all = text(json -> {
            json.writeStartObject();
            head.write(json, request.form().chunkObject());
            json.writeArrayFieldStart("choices");
            json.writeEndArray();
            if (streaming.usage()) {
                json.writeNullField("usage");
            }
            json.writeEndObject();
        });
        int end = all.lastIndexOf(']');
        before = DATA + all.substring(0, end);
        after = all.substring(end) + END;
    }

    private byte[] usage(AnswerHead head, int promptTokens) {
        String all = text(json -> {
            json.writeStartObject();
            head.write(json, request.form().chunkObject());
            json.writeArrayFieldStart("choices");
            json.writeEndArray();
            AnswerHead.usage(json, promptTokens, completionTokens);
            json.writeEndObject();
        });
        return event(all);
    }

    private static String text(Value value) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(out)) {
            value.write(json);
        } catch (IOException e) {
            throw new UncheckedIOException("writing into memory needs no output", e);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    /**
     * Returns an event.
     *
     * @param json its data, in one line
     */
    static byte[] event(String json) {
        return (DATA + json + END).getBytes(StandardCharsets.UTF_8);
    }
}
