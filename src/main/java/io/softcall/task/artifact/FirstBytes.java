package io.softcall.task.artifact;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Recognizes files that are not safetensors files by their first bytes, so that the refusal says what to do. */
final class FirstBytes {

    private static final int LOOKED_AT = 64;

    private record Kind(byte[] magic, String what) {

        Kind(String magic, String what) {
            this(magic.getBytes(StandardCharsets.ISO_8859_1), what);
        }

        boolean begins(byte[] bytes) {
            return bytes.length >= magic.length && Arrays.equals(bytes, 0, magic.length, magic, 0, magic.length);
        }
    }

    private static final List<Kind> BINARY = List.of(
            new Kind("\u001f\u008b", "a gzip file: store it unpacked"),
            new Kind("(\u00b5/\u00fd", "a zstd file: store it unpacked"),
            new Kind("PK\u0003\u0004", "a zip archive, as torch.save writes it; expected a safetensors file"),
            new Kind("\u0080\u0002", "a pickle of Python, as torch.save writes it; expected a safetensors file"),
            new Kind("\u0080\u0003", "a pickle of Python; expected a safetensors file"),
            new Kind("\u0080\u0004", "a pickle of Python; expected a safetensors file"),
            new Kind("\u0080\u0005", "a pickle of Python; expected a safetensors file"),
            new Kind("\u0093NUMPY", "a NumPy array; `softcall push` turns it into an artifact"),
            new Kind("GGUF", "a GGUF file; expected a soft prompt as a safetensors file"));

    private static final List<Kind> TEXT = List.of(
            new Kind(
                    "version https://git-lfs",
                    "a Git LFS pointer, not the file: run `git lfs pull` before `softcall push`"),
            new Kind("<!doctype html", "an HTML page, such as a proxy or a login sends in place of a file"),
            new Kind("<html", "an HTML page, such as a proxy or a login sends in place of a file"),
            new Kind("<", "an XML document, such as a store sends in place of a file"),
            new Kind("{", "a JSON document; expected a safetensors file"),
            new Kind("[", "a JSON document; expected a safetensors file"));

    private FirstBytes() {}

    /** Returns what the file is, as a part of a sentence; empty if its first bytes are unknown. */
    static Optional<String> tell(byte[] bytes) {
        byte[] first = Arrays.copyOf(bytes, Math.min(bytes.length, LOOKED_AT));
        byte[] text = new String(first, StandardCharsets.ISO_8859_1)
                .replace("\u00ef\u00bb\u00bf", "")
                .stripLeading()
                .toLowerCase(Locale.ROOT)
                .getBytes(StandardCharsets.ISO_8859_1);
        return BINARY.stream()
                .filter(kind -> kind.begins(first))
                .findFirst()
                .or(() -> TEXT.stream().filter(kind -> kind.begins(text)).findFirst())
                .map(Kind::what);
    }
}
