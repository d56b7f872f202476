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
 * A job's folder: the names of what lies in it, and how one version of each comes to lie there. docs/jobs.md has the list.
 *
 * @param output where all jobs' results go
 * @param job the job's id
 */
public record Folder(Bucket output, String job) {

    public static final String PLAN = "_PLAN";
    public static final String SUCCESS = "_SUCCESS";
    public static final String FAILED = "_FAILED";

    private static final String PART = "part-";
    private static final Pattern PART_NAME = Pattern.compile(".*/part-([0-9]{5,9})\\.jsonl");
    /** Parts that one listing looks at. */
    public static final int MAX_LISTED = 100_000;
    /** Of a plan, or a manifest, of that many parts. */
    private static final long MAX_JSON_BYTES = 32 << 20;

    private static final JsonMapper JSON = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    /** Which copy of a prompt a job uses; or why it has none. */
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

    /** Numbers of the parts that are finished, ascending. */
    public List<Integer> parts() {
        return output.list(key(PART), MAX_LISTED).stream()
                .map(PART_NAME::matcher)
                .filter(Matcher::matches)
                .map(name -> Integer.valueOf(name.group(1)))
                .toList();
    }

    /**
     * The plan of the job, if it was made.
     *
     * @throws SoftcallException {@code INTERNAL} when it is damaged, or that of another file
     */
    public Optional<Plan> plan() {
        Optional<Plan> stored = read(PLAN, Plan.class);
        if (stored.isPresent() && !stored.get().input().job().equals(job)) {
            throw damaged(PLAN, "it is that of another job");
        }
        return stored;
    }

    /** How the job ended, if it has. */
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

    /** @throws SoftcallException {@code INTERNAL} when what is stored is not what was */
    public <T> Optional<T> read(String name, Class<T> type) {
        return open(name).map(in -> {
            try (in) {
                if (in.available() > MAX_JSON_BYTES) {
                    throw damaged(name, "it is larger than any was");
                }
                return Objects.requireNonNull(JSON.readValue(in, type), "it holds null");
            } catch (SoftcallException e) {
                throw e;
            } catch (IOException | RuntimeException e) {
                throw damaged(name, e instanceof JsonProcessingException ? "it is not what was written" : e.toString());
            }
        });
    }

    Optional<byte[]> bytes(String name) {
        return open(name).map(in -> {
            try (in) {
                return in.readAllBytes();
            } catch (IOException e) {
                throw damaged(name, e.toString());
            }
        });
    }

    /** The stored object as a stream; empty when there is none. */
    Optional<ObjectStream> open(String name) {
        return output.stat(key(name))
                .map(now ->
                        new ObjectStream(output, new Input(output.uri(), key(name), now.version(), now.bytes()), 0));
    }

    /** The failure of whoever finds that an object of this folder is gone, or another: the event's sender is not at fault. */
    public SoftcallException damaged(String name, String how) {
        return new SoftcallException(
                Reason.INTERNAL,
                "%s%s cannot be read (%s): without the job's folder the job would begin anew"
                        .formatted(uri(), name, how));
    }

    /** Creates an object, or finds the one that somebody else created: in either case what is stored from now on. */
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
