package io.softcall.task.artifact;

import io.softcall.Sha256;
import io.softcall.task.RefusedException;
import io.softcall.task.TaskName;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The signers whose prompts are served. A signature covers every byte of an artifact, the task's name and the time of signing;
 * docs/task-artifact.md specifies it.
 *
 * @param keys Ed25519 public keys; if empty, signatures are not required
 */
public record Signers(List<PublicKey> keys) {

    private static final String ALGORITHM = "Ed25519";
    private static final Pattern SIGNATURE = Pattern.compile("[0-9a-f]{128}");
    private static final byte[] PURPOSE = "softcall prompt\0".getBytes(StandardCharsets.US_ASCII);

    public Signers {
        keys = List.copyOf(keys);
    }

    /**
     * Parses public keys.
     *
     * @param keys base64 of the X.509 form, as a PEM file has it between its first and last line; empty: no signatures are
     *     required
     * @throws IllegalArgumentException if one is not such a key
     */
    public static Signers of(Optional<List<String>> keys) {
        return new Signers(keys.orElse(List.of()).stream().map(Signers::key).toList());
    }

    private static PublicKey key(String base64) {
        try {
            return KeyFactory.getInstance(ALGORITHM)
                    .generatePublic(new X509EncodedKeySpec(Base64.getDecoder().decode(base64)));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "softcall.store.signed-by: \"%s\" is not an Ed25519 public key, expected base64 as `softcall push --sign` prints it"
                            .formatted(base64),
                    e);
        }
    }

    /**
     * Checks an artifact's signature.
     *
     * @return the time when it was signed; empty if signatures are not required
     * @throws RefusedException if none of the keys signed it for this task
     */
    Optional<Instant> check(TaskName name, byte[] artifact, Safetensors file) throws RefusedException {
        if (keys.isEmpty()) {
            return Optional.empty();
        }
        String signature = file.metadata().get("softcall_signature");
        if (signature == null) {
            throw new RefusedException(
                    "it is not signed, expected a signature by one of the keys of softcall.store.signed-by");
        }
        if (!SIGNATURE.matcher(signature).matches()) {
            throw new RefusedException("softcall_signature is not a signature, expected 128 hexadecimal digits");
        }
        byte[] message = message(artifact, signature);
        byte[] bytes = HexFormat.of().parseHex(signature);
        if (keys.stream().noneMatch(key -> verifies(key, message, bytes))) {
            throw new RefusedException(
                    "none of the keys of softcall.store.signed-by made its signature, or it was changed after it was signed");
        }
        String task = file.metadata().getOrDefault("softcall_task", "");
        if (!task.equals(name.value())) {
            throw new RefusedException("it was signed as task \"%s\"", task);
        }
        try {
            return Optional.of(Instant.parse(file.metadata().getOrDefault("softcall_signed_at", "")));
        } catch (DateTimeException e) {
            throw new RefusedException("softcall_signed_at is not a time, expected one like 2026-01-31T09:30:00Z");
        }
    }

    private static boolean verifies(PublicKey key, byte[] message, byte[] signature) {
        try {
            Signature verifier = Signature.getInstance(ALGORITHM);
            verifier.initVerify(key);
            verifier.update(message);
            return verifier.verify(signature);
        } catch (GeneralSecurityException e) {
            return false;
        }
    }

    /**
     * Returns the signed message: the purpose, and the SHA-256 of the artifact with zeros in place of the signature's digits.
     */
    private static byte[] message(byte[] artifact, String signature) throws RefusedException {
        byte[] digits = signature.getBytes(StandardCharsets.US_ASCII);
        int at = indexOf(artifact, digits, 0);
        if (at < 0 || indexOf(artifact, digits, at + 1) >= 0) {
            throw new RefusedException("it must contain its signature exactly once");
        }
        byte[] zeros = new byte[digits.length];
        Arrays.fill(zeros, (byte) '0');
        MessageDigest digest = Sha256.digest();
        digest.update(artifact, 0, at);
        digest.update(zeros);
        digest.update(artifact, at + digits.length, artifact.length - at - digits.length);
        byte[] message = Arrays.copyOf(PURPOSE, PURPOSE.length + digest.getDigestLength());
        System.arraycopy(digest.digest(), 0, message, PURPOSE.length, digest.getDigestLength());
        return message;
    }

    private static int indexOf(byte[] bytes, byte[] wanted, int from) {
        for (int start = from; start <= bytes.length - wanted.length; start++) {
            if (bytes[start] == wanted[0]
                    && Arrays.equals(bytes, start, start + wanted.length, wanted, 0, wanted.length)) {
                return start;
            }
        }
        return -1;
    }
}
