package io.softcall.jobs.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Sha256;
import io.softcall.jobs.files.Input;
import io.softcall.jobs.files.JobFailure;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;

/** Writes the outcome of a job. Its counts and hashes are computed from the stored parts. */
public final class Manifests {

    private static final JsonMapper JSON = new JsonMapper();

    private Manifests() {}

    /**
     * Creates {@code _SUCCESS}.
     *
     * @return the stored manifest, which another instance may have created
     */
    public static Manifest succeed(Folder folder, Plan plan, int parts) {
        TreeMap<String, String> tasks = new TreeMap<>();
        List<Manifest.Part> stored = new ArrayList<>();
        for (int part = 0; part < parts; part++) {
            stored.add(count(folder, Folder.partName(part), tasks));
        }
        Manifest manifest = new Manifest(
                folder.job(),
                plan.input(),
                folder.uri(),
                stored.stream().mapToLong(Manifest.Part::rows).sum(),
                stored.stream().mapToLong(Manifest.Part::errors).sum(),
                tasks,
                stored,
                null,
                plan.started(),
                now());
        return folder.agree(Folder.SUCCESS, manifest, Manifest.class);
    }

    /** Creates {@code _FAILED} for a final failure. */
    public static Manifest fail(Folder folder, Input input, Instant started, JobFailure failure) {
        Manifest.Failure error = new Manifest.Failure(failure.code().text(), failure.getMessage());
        Manifest manifest =
                new Manifest(folder.job(), input, folder.uri(), null, null, null, null, error, started, now());
        // A missing file may be stored again. A bad file stays bad, and a cancelled job stays cancelled.
        return failure.code() == JobFailure.Code.INPUT_GONE
                ? manifest
                : folder.agree(Folder.FAILED, manifest, Manifest.class);
    }

    public static Instant now() {
        return Instant.now().truncatedTo(ChronoUnit.MILLIS);
    }

    private static Manifest.Part count(Folder folder, String name, TreeMap<String, String> tasks) {
        long rows = 0;
        long errors = 0;
        MessageDigest sha256 = Sha256.digest();
        try (InputStream stored = folder.open(name).orElseThrow(() -> folder.damaged(name, "it was deleted"));
                Counted counted = new Counted(new DigestInputStream(stored, sha256));
                MappingIterator<JsonNode> lines = JSON.readerFor(JsonNode.class).readValues(counted)) {
            while (lines.hasNextValue()) {
                JsonNode row = lines.nextValue();
                rows++;
                errors += row.has("error") ? 1 : 0;
                if (row.has("version")) {
                    tasks.put(row.path("task").asText(), row.path("version").asText());
                }
            }
            return new Manifest.Part(
                    name, rows, errors, counted.bytes, HexFormat.of().formatHex(sha256.digest()));
        } catch (JsonProcessingException e) {
            throw folder.damaged(name, "it was changed");
        } catch (IOException e) {
            throw folder.damaged(name, e.toString());
        }
    }

    private static final class Counted extends FilterInputStream {

        private long bytes;

        Counted(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int read = in.read();
            bytes += read < 0 ? 0 : 1;
            return read;
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            int read = in.read(buffer, offset, length);
            bytes += Math.max(0, read);
            return read;
        }
    }
}
