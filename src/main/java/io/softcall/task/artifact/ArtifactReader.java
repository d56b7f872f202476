package io.softcall.task.artifact;

import io.softcall.task.Kind;
import io.softcall.task.Prompt;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.StoredTask;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.time.Instant;
import java.util.Optional;

/** Turns the bytes of an artifact into a {@link StoredTask}, or refuses it with the reason. */
public final class ArtifactReader {

    private final Requirements requirements;
    private final PromptReader prompts;
    private final Signers signers;

    public ArtifactReader(Requirements requirements, Signers signers) {
        this.requirements = requirements;
        this.prompts = new PromptReader(requirements);
        this.signers = signers;
    }

    /**
     * Returns when an artifact was signed, without reading its tensors; empty if signatures are not required.
     *
     * @throws RefusedException if it is not signed as required
     */
    Optional<Instant> signedAt(TaskName name, byte[] bytes) throws RefusedException {
        return signers.check(name, bytes, Safetensors.parse(bytes));
    }

    /** Reads an artifact from a copy, whose time of storage is unknown. */
    public StoredTask read(TaskName name, String version, byte[] bytes) throws RefusedException {
        return read(name, version, Optional.empty(), bytes);
    }

    /**
     * Reads an artifact. The task does not refer to {@code bytes}, and takes about as many: a prompt, its prefix and the label
     * head take as many in their stored type, and up to twice as many where half precision becomes float32.
     *
     * @param stored the time when this version was stored; empty for a copy
     * @throws RefusedException if the artifact cannot be served
     */
    public StoredTask read(TaskName name, String version, Optional<Instant> stored, byte[] bytes)
            throws RefusedException {
        Safetensors file = Safetensors.parse(bytes);
        Optional<Instant> signedAt = signers.check(name, bytes, file);
        PromptReader.refuseOtherMethods(file);
        Metadata metadata = Metadata.read(file, requirements);
        Prompt prompt = prompts.read(file, metadata);
        Kind kind = KindReader.read(file, metadata, requirements.hidden());
        Task task = new Task(name, version, stored, prompt.tokens(), kind, signedAt, metadata.written(), bytes.length);
        return new StoredTask(task, prompt);
    }
}
