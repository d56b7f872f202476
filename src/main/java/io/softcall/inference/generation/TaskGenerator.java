package io.softcall.inference.generation;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.Deadline;
import io.softcall.inference.Prefixes;
import io.softcall.inference.Speculation;
import io.softcall.inference.batching.Batcher;
import io.softcall.inference.decoding.Lanes;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.inference.model.Model;
import io.softcall.inference.model.Prefix;
import io.softcall.inference.model.Tokenizer;
import io.softcall.inference.text.Chats;
import io.softcall.task.StoredTask;
import io.softcall.task.catalog.Tasks;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Writes text: revalidates the task, reads the sources, and decodes their answers. */
@Singleton
class TaskGenerator implements Generator {

    /** The answers of one thread that are decoded side by side at most. */
    private static final int MOST_PLACES = 32;

    private final Model model;
    private final Tokenizer tokenizer;
    private final Prefixes prefixes;
    private final Batcher batcher;
    private final InferenceConfig.Limits limits;
    private final GenerationConfig config;
    private final RequestReader reader;
    private final Speculation<Attempt> speculation;
    private final KvRoom room;
    private final Streams streams;
    private final int positions;
    private final StopTime stopTime = new StopTime();
    /** Null until text is first written. Guarded by this object. */
    private Lanes lanes;

    TaskGenerator(
            Model model,
            Tasks tasks,
            Tokenizer tokenizer,
            Prefixes prefixes,
            Batcher batcher,
            InferenceConfig inference,
            GenerationConfig config,
            MeterRegistry metrics) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.prefixes = prefixes;
        this.batcher = batcher;
        this.limits = inference.limits();
        this.config = config;
        this.positions =
                Math.min(model.bundle().maxPositions(), limits.promptTokens() + limits.tokens() + config.maxTokens());
        this.room = new KvRoom(
                Math.max(1, config.kvBytes().asLongValue() / model.bundle().kvBytesOfAToken()));
        this.reader = new RequestReader(
                tokenizer, new Chats(model.bundle()), model.bundle(), limits, config, room.capacity());
        this.streams = new Streams(config.streams());
        this.speculation = new Speculation<>(tasks, prefixes);
        Gauge.builder("softcall.generation.answers", streams, Streams::taken)
                .description("answers under way, waiting ones included")
                .register(metrics);
        Gauge.builder(
                        "softcall.generation.kv.bytes",
                        room,
                        taken -> taken.taken() * model.bundle().kvBytesOfAToken())
                .baseUnit("bytes")
                .description("memory that answers have reserved for keys and values")
                .register(metrics);
    }

    @Override
    public int vocabulary() {
        return model.bundle().vocabulary();
    }

    @Override
    public void admit(GenerationRequest request) {
        model.decodingObstacle().ifPresent(why -> {
            throw SoftcallException.invalid("no text can be written: %s", why);
        });
        reader.check(request);
        streams.require(request.task(), request.answers());
    }

    @Override
    public Generation start(GenerationRequest request, CompletableFuture<Void> cancellation) {
        admit(request);
        streams.take(request.task(), request.answers());
        try {
            return answered(request, cancellation);
        } catch (RuntimeException | Error e) {
            streams.giveBack(request.task(), request.answers());
            throw e;
        }
    }

    private Generation answered(GenerationRequest request, CompletableFuture<Void> cancellation) {
        Deadline deadline = new Deadline(limits.callTime(), cancellation);
        Lanes open = lanes();
        Speculation.Validated<Attempt> validated =
                speculation.attempt(request.task(), deadline, stored -> attempt(stored, request, deadline, open));
        Attempt attempt = validated.attempt();
        try {
            attempt.check();
            deadline.await(attempt.events().begun(), "the model");
            return new RunningGeneration(
                    attempt,
                    validated.staleness(),
                    config.time(),
                    stopTime,
                    cancellation,
                    () -> streams.giveBack(request.task(), request.answers()));
        } catch (RuntimeException e) {
            attempt.cancel();
            throw e;
        }
    }

    /** Begins an attempt. It keeps a failure until the store has validated its version. */
    private Attempt attempt(StoredTask stored, GenerationRequest request, Deadline deadline, Lanes open) {
        Attempt attempt = new Attempt(stored.task(), open, batcher, room, model.bundle(), tokenizer);
        try {
            begin(attempt, stored, request, deadline);
        } catch (RuntimeException e) {
            attempt.fail(e);
        }
        return attempt;
    }

    private void begin(Attempt attempt, StoredTask stored, GenerationRequest request, Deadline deadline) {
        List<RequestReader.Reading> readings = reader.read(stored.task(), request, deadline);
        Prefix prefix = prefixes.acquire(stored, future -> deadline.await(future, "the encoder"));
        try {
            deadline.check();
            attempt.read(readings, prefix);
        } finally {
            prefix.release();
        }
    }

    @Override
    public void endWithin(Duration time) {
        stopTime.set(time);
    }

    private synchronized Lanes lanes() {
        if (lanes == null) {
            int places = Math.min(config.streams(), MOST_PLACES);
            lanes = new Lanes(model, batcher, places, positions, config.maxPause());
        }
        return lanes;
    }
}
