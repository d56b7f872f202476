package io.softcall.inference.generation;

import io.softcall.inference.Speculation;
import io.softcall.inference.batching.Batcher;
import io.softcall.inference.batching.Output;
import io.softcall.inference.batching.OutputListener;
import io.softcall.inference.batching.QueuedRequest;
import io.softcall.inference.decoding.DecodedSequence;
import io.softcall.inference.decoding.Lanes;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.model.Tokenizer;
import io.softcall.task.Task;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;

/**
 * The answers to a request with one version of the task. It reads the sources, and goes on with the answers while the store is
 * being asked; nobody sees a token before the store has answered.
 */
final class Attempt implements Speculation.Attempt {

    private final Task task;
    private final Lanes lanes;
    private final Batcher batcher;
    private final KvRoom room;
    private final Bundle bundle;
    private final Tokenizer tokenizer;
    private final AnswerEvents events = new AnswerEvents();
    private final List<SourceReading> sources = new ArrayList<>();
    private final List<AnswerText> texts = new ArrayList<>();
    private Optional<RuntimeException> failure = Optional.empty();
    private int promptTokens;

    Attempt(Task task, Lanes lanes, Batcher batcher, KvRoom room, Bundle bundle, Tokenizer tokenizer) {
        this.bundle = bundle;
        this.tokenizer = tokenizer;
        this.task = task;
        this.lanes = lanes;
        this.batcher = batcher;
        this.room = room;
    }

    /** The reading of one source: it waits for room, then for a batch, and then its answers are decoded. */
    private final class SourceReading implements OutputListener {

        private final List<Answer> answers;
        private final long[] ids;
        private final Prefix prefix;
        private final long tokens;
        /** Guarded by this object, like {@link #queued} and {@link #waiting}. */
        private boolean cancelled;

        private Optional<QueuedRequest> queued = Optional.empty();
        private Optional<KvRoom.Waiting> waiting = Optional.empty();

        SourceReading(List<Answer> answers, long[] ids, Prefix prefix, long tokens) {
            this.tokens = tokens;
            this.answers = answers;
            this.ids = ids;
            this.prefix = prefix;
        }

        /** Waits for room. Holds a reference to the prefix meanwhile. */
        void begin() {
            if (!prefix.retain()) {
                throw new IllegalStateException("the caller does not hold the prefix");
            }
            KvRoom.Waiting place = room.take(task.name(), tokens, this::read);
            synchronized (this) {
                waiting = Optional.of(place);
            }
        }

        private void read() {
            boolean unwanted;
            synchronized (this) {
                unwanted = cancelled;
                if (!unwanted) {
                    QueuedRequest request = batcher.submitBounded(task.name(), prefix, List.of(ids), this);
                    queued = Optional.of(request);
                    request.outputs().exceptionally(this::failed);
                }
            }
            prefix.release();
            if (unwanted) {
                answers.forEach(Answer::left);
            }
        }

        private List<Output> failed(Throwable problem) {
            if (!(problem instanceof CancellationException)) {
                events.add(new Answer.Event.Failed(problem));
            }
            return List.of();
        }

        @Override
        public void computed(int index, Output output, Prefix kept) {
            for (Answer answer : answers) {
                kept.retain();
                lanes.add(new DecodedSequence(Attempt.this, answer, output.hidden(), kept));
            }
            kept.release();
        }

        @Override
        public void dropped(int index) {
            answers.forEach(Answer::left);
        }

        void cancel() {
            answers.forEach(Answer::cancel);
            Optional<QueuedRequest> request;
            Optional<KvRoom.Waiting> place;
            synchronized (this) {
                cancelled = true;
                request = queued;
                place = waiting;
            }
            if (request.isPresent()) {
                request.get().cancel();
            } else if (place.isPresent() && room.withdraw(place.get())) {
                // No room was taken, so the answers have none to give back.
                prefix.release();
            }
        }
    }

    @Override
    public Task task() {
        return task;
    }

    AnswerEvents events() {
        return events;
    }

    int promptTokens() {
        return promptTokens;
    }

    /** Keeps a failure until somebody asks for the answers. */
    void fail(RuntimeException problem) {
        failure = Optional.of(problem);
    }

    /** @throws RuntimeException the failure, if there was one */
    void check() {
        failure.ifPresent(e -> {
            throw e;
        });
    }

    /** Returns the texts of all answers, by their indices. */
    List<AnswerText> texts() {
        return texts;
    }

    /**
     * Begins to read the sources, and to answer them. Called once.
     *
     * @param prefix the caller holds a reference, which it may release when this method returns
     */
    void read(List<RequestReader.Reading> readings, Prefix prefix) {
        readings.forEach(reading -> sources.add(source(reading, prefix)));
        sources.forEach(SourceReading::begin);
    }

    private SourceReading source(RequestReader.Reading reading, Prefix prefix) {
        long tokens = (long) task.promptTokens() + reading.ids().length + reading.maxTokens();
        List<Answer> answers = new ArrayList<>();
        for (int i = 0; i < reading.sampling().size(); i++) {
            TokenChoice choice = new TokenChoice(bundle, reading, i);
            Answer answer = new Answer(
                    texts.size(), task, choice, reading.maxTokens(), lanes, events::add, () -> room.giveBack(tokens));
            answers.add(answer);
            texts.add(new AnswerText(answer, tokenizer, reading));
        }
        promptTokens += reading.ids().length;
        return new SourceReading(answers, reading.ids(), prefix, tokens * answers.size());
    }

    @Override
    public void cancel() {
        sources.forEach(SourceReading::cancel);
    }
}
