package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.Reasons;
import io.softcall.Tiny;
import io.softcall.task.RefusedException;
import io.softcall.task.TaskName;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Only the artifacts that were signed have a valid signature, byte for byte. */
class SignersFuzzTest {

    private static final TaskName NAME = new TaskName("sentiment");
    private static final Signers SIGNERS = Signers.of(Optional.of(List.of(Tiny.publicKey())));
    private static final List<byte[]> SIGNED = List.of(Tiny.signed("earlier"), Tiny.signed("later"));

    /** @param artifact made without a key, so only the two signed artifacts are accepted */
    @FuzzTest
    void check(byte[] artifact) {
        try {
            assertTrue(
                    SIGNERS.check(NAME, artifact, Safetensors.parse(artifact)).isPresent());
        } catch (RefusedException e) {
            Reasons.printable(e.getMessage());
            return;
        }
        assertTrue(SIGNED.stream().anyMatch(signed -> Arrays.equals(signed, artifact)));
    }
}
