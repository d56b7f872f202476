package io.softcall.task.artifact;

import io.softcall.SoftcallException;
import io.softcall.store.StoreConfig;
import io.softcall.store.mirror.Acceptance;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import jakarta.inject.Singleton;
import java.util.Optional;

/**
 * Makes a mirror accept only artifacts that this server would serve, and that were not signed before the version that it holds.
 */
@Singleton
class ArtifactAcceptance implements Acceptance {

    private final ArtifactReader reader;

    ArtifactAcceptance(Requirements requirements, StoreConfig config) {
        this.reader = new ArtifactReader(requirements, Signers.of(config.signedBy()));
    }

    @Override
    public String suffix() {
        return TaskName.OBJECT;
    }

    @Override
    public Optional<String> refusal(String key, byte[] content, Optional<byte[]> held) {
        try {
            TaskName name = TaskName.ofKey(key);
            Task task = reader.read(name, "", content).task();
            if (held.isPresent()) {
                task.requireNotOlder(reader.signedAt(name, held.get()));
            }
            return Optional.empty();
        } catch (RefusedException | SoftcallException e) {
            return Optional.of(e.getMessage());
        }
    }
}
