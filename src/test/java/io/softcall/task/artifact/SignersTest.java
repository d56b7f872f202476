package io.softcall.task.artifact;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.EditedArtifact;
import io.softcall.Tiny;
import io.softcall.task.PrefixLayout;
import io.softcall.task.RefusedException;
import io.softcall.task.Requirements;
import io.softcall.task.Task;
import io.softcall.task.TaskName;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Signature;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The signers whose prompts are served. The signatures come from `softcall push --sign`. */
class SignersTest {

    private static final TaskName TASK = new TaskName("sentiment");

    private final byte[] signed = Tiny.signed("later");
    private final Signers signers = Signers.of(Optional.of(List.of(Tiny.publicKey())));

    @Test
    void oneWhoIsNamed() throws Exception {
        assertEquals(
                Optional.of(Instant.parse("2026-01-31T09:31:00Z")),
                read(signers, TASK, signed).signedAt());
    }

    @Test
    void oneOfSeveral() throws Exception {
        read(Signers.of(Optional.of(List.of(newKey(), Tiny.publicKey()))), TASK, signed);
    }

    @Test
    void nobodyIsNamed() throws Exception {
        assertTrue(read(Signers.of(Optional.empty()), TASK, signed).signedAt().isEmpty());
    }

    @Test
    void anotherKeyOrNone() throws Exception {
        refuses("none of the keys", Signers.of(Optional.of(List.of(newKey()))), TASK, signed);
        refuses("not signed", signers, TASK, Tiny.artifact("sentiment"));
    }

    @Test
    void anotherTask() {
        refuses("signed as task \"sentiment\"", signers, new TaskName("pair"), signed);
    }

    /** A changed byte is found if the file is still well-formed. Other files are refused before signatures are checked. */
    @Test
    void anyOtherByte() {
        for (int at = 0; at < signed.length; at += signed.length / 200) {
            byte[] changed = signed.clone();
            changed[at] ^= 1;
            assertThrows(RefusedException.class, () -> read(signers, TASK, changed), "byte " + at);
        }
    }

    @Test
    void oneThatWasSignedEarlierDoesNotReplaceALaterOne() throws Exception {
        Task later = read(signers, TASK, signed);
        Task earlier = read(signers, TASK, Tiny.signed("earlier"));
        later.requireNotOlder(earlier.signedAt());
        later.requireNotOlder(later.signedAt());
        RefusedException e = assertThrows(RefusedException.class, () -> earlier.requireNotOlder(later.signedAt()));
        assertTrue(e.getMessage().contains("2026-01-31T09:30:00Z"), e::getMessage);
    }

    /** Whether it is served does not depend on the type of its prompt, and neither does its signature. */
    @Test
    void aKvPromptIsSignedLikeAnyOther() throws Exception {
        KeyPair keys = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        Signers own = Signers.of(Optional.of(
                List.of(Base64.getEncoder().encodeToString(keys.getPublic().getEncoded()))));
        TaskName task = new TaskName("kv");
        byte[] artifact = sign(keys, "2026-02-01T00:00:00Z");
        assertEquals(
                Optional.of(Instant.parse("2026-02-01T00:00:00Z")),
                read(own, task, artifact).signedAt());
        artifact[artifact.length - 1] ^= 1;
        refuses("or it was changed after it was signed", own, task, artifact);
    }

    /** Signs the kv task as docs/task-artifact.md says. */
    private static byte[] sign(KeyPair keys, String at) throws Exception {
        String zeros = "0".repeat(128);
        byte[] unsigned = EditedArtifact.of("kv")
                .header("softcall_task", "kv")
                .header("softcall_signed_at", at)
                .header("softcall_signature", zeros)
                .bytes();
        Signature signer = Signature.getInstance("Ed25519");
        signer.initSign(keys.getPrivate());
        signer.update("softcall prompt\0".getBytes(StandardCharsets.US_ASCII));
        signer.update(MessageDigest.getInstance("SHA-256").digest(unsigned));
        // Latin 1 maps every byte to one character and back.
        return new String(unsigned, StandardCharsets.ISO_8859_1)
                .replace(zeros, HexFormat.of().formatHex(signer.sign()))
                .getBytes(StandardCharsets.ISO_8859_1);
    }

    @Test
    void whatIsNoKeyIsSaidAtStart() {
        for (String key : List.of("", "MCowBQYDK2VwAyEA", "not base64")) {
            assertThrows(IllegalArgumentException.class, () -> Signers.of(Optional.of(List.of(key))));
        }
    }

    private static String newKey() throws Exception {
        return Base64.getEncoder()
                .encodeToString(KeyPairGenerator.getInstance("Ed25519")
                        .generateKeyPair()
                        .getPublic()
                        .getEncoded());
    }

    private static void refuses(String message, Signers signers, TaskName task, byte[] artifact) {
        RefusedException e = assertThrows(RefusedException.class, () -> read(signers, task, artifact));
        assertTrue(e.getMessage().contains(message), e::getMessage);
    }

    private static Task read(Signers signers, TaskName task, byte[] artifact) throws RefusedException {
        PrefixLayout layout = new PrefixLayout("fp32", "digest", true, 2, 2, 16);
        return new ArtifactReader(
                        new Requirements("tiny-llama", Set.of(Tiny.fingerprint()), 64, 1_024, 128, layout, true),
                        signers)
                .read(task, "1", artifact)
                .task();
    }
}
