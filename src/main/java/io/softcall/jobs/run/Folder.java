package io.softcall.jobs.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.jobs.files.Input;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.ObjectStream;
import io.softcall.store.Bucket;
import io.softcall.task.TaskName;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A job's folder: the names of its objects, and how each object is created exactly once. docs/jobs.md lists them.
 *
 * @param output the folder of all jobs' results
 * @param job the job's id
 */
public record Folder(Bucket output, String job) {

    public static final String PLAN = "_PLAN";
    public static final String SUCCESS = "_SUCCESS";
    public static final String FAILED = "_FAILED";

    private static final String PART = "part-";
    private static final Pattern PART_NAME = Pattern.compile(".*/part-([0-9]{5,9})\\.jsonl");
    /** Maximum number of parts in one listing. */
    public static final int MAX_LISTED = 100_000;
    /** Maximum size of a plan or manifest with that many parts. */
    private static final long MAX_JSON_BYTES = 32 << 20;

    private static final JsonMapper JSON = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    /** The version of a prompt that a job uses, or the reason why it has none. */
    @RegisterForReflection
    record Fixed(String version, String code, String message) {

        Fixed {
            if (version == null && (code == null || message == null)) {
                throw new IllegalArgumentException("neither a version nor a reason");
            }
        }
    }

    public String uri() {
        return output.uri() + job + "/";
    }

    public static String partName(int part) {
        return "%s%05d.jsonl".formatted(PART, part);
    }

    String key(String name) {
        return job + "/" + name;
    }

    String artifact(TaskName task, String version) {
        return "tasks/%s/%s/adapter_model.safetensors".formatted(task, version);
    }

    String fixed(TaskName task) {
        return "tasks/%s/_VERSION".formatted(task);
    }

    /** Returns the numbers of the finished parts, ascending. */
    public List<Integer> parts() {
        return output.list(key(PART), MAX_LISTED).stream()
                .map(PART_NAME::matcher)
                .filter(Matcher::matches)
                .map(name -> Integer.valueOf(name.group(1)))
                .toList();
    }

    /**
     * Returns the plan of the job, if there is one.
     *
     * @throws SoftcallException {@code INTERNAL} when it is damaged, or belongs to another file
     */
    public Optional<Plan> plan() {
        Optional<Plan> stored = read(PLAN, Plan.class);
        if (stored.isPresent() && !stored.get().input().job().equals(job)) {
            throw damaged(PLAN, "it belongs to another job");
        }
        return stored;
    }

    /** Returns the outcome of the job, if it has ended. */
    public Optional<Manifest> ended() {
        return read(SUCCESS, Manifest.class).or(() -> read(FAILED, Manifest.class));
    }

    /** @throws JobFailure when the job was cancelled, here or at another instance */
    void requireNotCancelled() throws JobFailure {
        if (has(FAILED)) {
            throw JobFailure.cancelled();
        }
    }

    public boolean has(String name) {
        return output.stat(key(name)).isPresent();
    }

    /** @throws SoftcallException {@code INTERNAL} when the stored object was changed */
    public <T> Optional<T> read(String name, Class<T> type) {
        return open(name).map(in -> {
            try (in) {
                if (in.available() > MAX_JSON_BYTES) {
                    throw damaged(name, "it is larger than expected");
                }
                return Objects.requireNonNull(JSON.readValue(in, type), "it holds null");
            } catch (SoftcallException e) {
                throw e;
            } catch (IOException | RuntimeException e) {
                throw damaged(name, e instanceof JsonProcessingException ? "it was changed" : e.toString());
            }
        });
    }

    Optional<byte[]> bytes(String name) {
        return open(name).map(in -> {
            try (in) {
                // One array of the right size; readAllBytes would take twice the memory.
                byte[] bytes = new byte[in.available()];
                in.readNBytes(bytes, 0, bytes.length);
                return bytes;
            } catch (IOException e) {
                throw damaged(name, e.toString());
            }
        });
    }

    /** Returns the stored object as a stream; empty when it does not exist. */
    Optional<ObjectStream> open(String name) {
        return output.stat(key(name))
                .map(now ->
                        new ObjectStream(output, new Input(output.uri(), key(name), now.version(), now.bytes()), 0));
    }

    /**
     * Returns the failure for a missing or changed object of this folder, which is not the fault of the event's sender.
     */
    public SoftcallException damaged(String name, String how) {
        return new SoftcallException(
                Reason.INTERNAL,
                "%s%s cannot be read (%s): delete the job's folder to run the job again".formatted(uri(), name, how));
    }

    /** Creates an object, unless it exists. Returns the stored object, which does not change any more. */
    public <T> T agree(String name, T proposal, Class<T> type) {
        output.create(key(name), json(proposal));
        return read(name, type).orElseThrow(() -> damaged(name, "it was deleted"));
    }

    private static byte[] json(Object value) {
        try {
            return JSON.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
