package io.softcall.jobs.formats.parquet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.Allocation;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.Range;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.RowId;
import io.softcall.jobs.files.StoredFile;
import io.softcall.jobs.formats.Source;
import io.softcall.task.TaskName;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Parquet files are read as pyarrow, which wrote them, reads them. Claims of a file about itself are not trusted. */
class ParquetTest {

    private static final Path RESOURCES = Path.of("src/test/resources/jobs");
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir
    Path folder;

    private StoredFile file(byte[] content) throws IOException {
        return StoredFile.of(folder, "x.parquet", content);
    }

    private static JsonNode expected(String kind) throws IOException {
        return JSON.readTree(RESOURCES.resolve(kind + "/expected.json").toFile());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"plain", "dictionary", "gzip", "zstd-v2", "snappy-v2", "checksums", "delta", "delta-v2", "split"
            })
    void readsEveryLayoutInPartsOfAnySize(String layout) throws IOException {
        StoredFile file = file(Files.readAllBytes(RESOURCES.resolve("layouts/" + layout + ".parquet")));
        List<Row> expected = new ArrayList<>();
        for (JsonNode row : expected("layouts")) {
            expected.add(new Row.Texts(
                    row.get("id").isNull()
                            ? RowId.NONE
                            : RowId.number(row.get("id").toString()),
                    Optional.ofNullable(row.get("task").textValue()).map(TaskName::new),
                    List.of(row.get("text").textValue())));
        }
        for (int partRows : List.of(1_000, 170, 7)) {
            assertEquals(expected, file.rows(1, partRows, StoredFile.LIMITS), "parts of " + partRows);
        }
    }

    @Test
    void idsComeBackAsTheyWereWritten() throws IOException {
        var kinds = expected("ids").properties();
        assertEquals(19, kinds.size());
        for (var kind : kinds) {
            List<Row> rows = file(Files.readAllBytes(RESOURCES.resolve("ids/" + kind.getKey() + ".parquet")))
                    .rows();
            assertEquals(3, rows.size());
            for (int i = 0; i < rows.size(); i++) {
                if (kind.getValue().isNull()) {
                    Row.Bad bad = assertInstanceOf(Row.Bad.class, rows.get(i), kind.getKey());
                    assertTrue(bad.problem().startsWith("id is "), bad.problem());
                } else {
                    assertEquals(
                            kind.getValue().get(i).textValue(), rows.get(i).id().json(), kind.getKey());
                    assertInstanceOf(Row.Texts.class, rows.get(i));
                }
            }
        }
    }

    private static String fault(StoredFile file) {
        JobFailure failure = assertThrows(JobFailure.class, file::rows);
        assertEquals(JobFailure.Code.BAD_FILE, failure.code(), failure.getMessage());
        return failure.getMessage();
    }

    /**
     * A file that is cut, or has one changed byte, has all its rows or is bad. It never gives a part of its rows, and never
     * hangs.
     */
    @ParameterizedTest
    @ValueSource(strings = {"snappy", "zstd", "layouts/delta", "layouts/zstd-v2", "layouts/checksums"})
    void damagedFilesAreBadFiles(String name) throws IOException {
        byte[] good = Files.readAllBytes(RESOURCES.resolve(name + ".parquet"));
        int rows = file(good).rows().size();
        int bad = 0;
        for (int length = 0; length < good.length; length += 1 + length / 40) {
            fault(file(Arrays.copyOf(good, length)));
        }
        for (int at = 0; at < good.length; at += 1 + good.length / 1_000) {
            byte[] damaged = good.clone();
            damaged[at] ^= (byte) (1 + at % 255);
            try {
                assertEquals(rows, file(damaged).rows().size(), "byte " + at);
            } catch (JobFailure e) {
                assertEquals(JobFailure.Code.BAD_FILE, e.code(), e.getMessage());
                bad++;
            }
        }
        assertTrue(bad > 50, "bad: " + bad);
    }

    @Test
    void rowsThatAreNotThereAreNotPlanned() throws IOException {
        for (long rows : List.of(1L << 40, 1_000_000_000L, 10_001L)) {
            assertEquals(
                    "the file has more than 10000 rows (softcall.jobs.max-rows)",
                    fault(file(ParquetBytes.of("a", "b").groupRows(rows).write())));
        }
        assertTrue(
                fault(file(ParquetBytes.of("a", "b").groupRows(9_999).write())).contains("column text"));
        assertTrue(fault(file(ParquetBytes.of("a", "b").rows(3).write())).contains("claims 3 rows"));
        assertTrue(fault(file(ParquetBytes.of("a", "b").values(3).write())).contains("3 values"));
        assertTrue(fault(file(ParquetBytes.of("a", "b").rows(0).write())).contains("claims 0 rows"));
        assertTrue(fault(file(ParquetBytes.of("a", "b").rows(-1).write())).contains("impossible type or length"));
    }

    @Test
    void partsAreBoundedWhateverTheFileSays() throws IOException {
        Limits generous = new Limits(1_000, Long.MAX_VALUE, Long.MAX_VALUE);
        StoredFile file = file(ParquetBytes.of("a").groupRows(1L << 60).write());
        int parts = new Source(file.bucket(), file.input())
                .split(1, 10_000, generous)
                .orElseThrow()
                .size();
        assertEquals(Range.MAX_PARTS, parts);
    }

    @Test
    void whatLiesOutsideOfTheFileIsNotAskedFor() throws IOException {
        for (long dictionary : List.of(1L, 1L << 20, 1L << 40, Long.MAX_VALUE)) {
            assertTrue(fault(file(ParquetBytes.of("a").dictionary(dictionary).write()))
                    .contains("from byte " + dictionary));
        }
        for (long data : List.of(0L, 1L << 20, Long.MAX_VALUE)) {
            assertTrue(fault(file(ParquetBytes.of("a").data(data).write())).contains("data from byte " + data));
        }
        assertTrue(fault(file(ParquetBytes.of("a").bytes(1L << 50).write())).contains("claims 1125899906842624 bytes"));
        assertTrue(
                fault(file(ParquetBytes.of("a").footerLength(Integer.MAX_VALUE).write()))
                        .contains("footer"));
        assertTrue(fault(file(ParquetBytes.of("a").footerLength(-1).write())).contains("footer"));
    }

    @Test
    void whatPagesClaimIsNotBuilt() throws IOException {
        assertTrue(fault(file(ParquetBytes.of("a").unpacked(1 << 30).write())).contains("may have 67108864 bytes"));
        assertTrue(fault(file(ParquetBytes.of("a").unpacked(-5).write())).contains("-5 unpacked"));
        assertTrue(
                fault(file(ParquetBytes.of("a").packed(1 << 30).write())).contains("a page claims 1073741824 bytes"));
        assertTrue(fault(file(ParquetBytes.of("a").pageValues(1 << 30).write())).contains("more values"));
        assertTrue(fault(file(ParquetBytes.of("a", "b").pageValues(1).write())).contains("fewer values"));
        assertTrue(
                fault(file(ParquetBytes.of("a").textLength(1 << 30).write())).contains("a value of 1073741824 bytes"));
        assertTrue(fault(file(ParquetBytes.of("a").textLength(-1).write())).contains("a value of -1 bytes"));
        for (int levels : List.of(-1, 100, Integer.MAX_VALUE)) {
            assertTrue(
                    fault(file(ParquetBytes.of("a").levelBytes(levels).write())).contains("a page ends too early"));
        }
        assertEquals(1, file(ParquetBytes.of("a").levelBytes(0).write()).rows().size());
        assertTrue(fault(file(ParquetBytes.of("a").encoding(8).write())).contains("dictionary of a page is missing"));
    }

    /** A text of 40,000 bytes that 10,000 rows share: a file of 60 KB with 400 MB of texts. */
    @Test
    void whatUnpacksWithoutAnEndIsStopped() throws IOException {
        byte[] bomb = ParquetBytes.repeated("x".repeat(40_000), 10_000);
        assertTrue(bomb.length < 100_000);
        Limits limits = new Limits(50_000, 1 << 24, 10_000);
        JobFailure failure = assertThrows(JobFailure.class, () -> file(bomb).rows(1, 10_000, limits));
        assertTrue(failure.getMessage().contains("softcall.jobs.max-bytes"), failure.getMessage());
        for (Row row : file(bomb).rows(1, 10_000, new Limits(1_000, 1L << 30, 10_000))) {
            assertTrue(assertInstanceOf(Row.Bad.class, row).problem().contains("40000 bytes, at most 1000"));
        }
    }

    /** A file of 100 KB that claims to have as many bytes unpacked. */
    @Test
    void whatPagesUnpackToIsCounted() throws IOException {
        byte[] bomb = ParquetBytes.padded(500, 1 << 20);
        assertTrue(bomb.length < 100_000, () -> bomb.length + " bytes");
        JobFailure failure = assertThrows(JobFailure.class, file(bomb)::rows);
        assertEquals("the file has more than 16777216 bytes, unpacked (softcall.jobs.max-bytes)", failure.getMessage());
        assertEquals(10, file(ParquetBytes.padded(10, 1 << 20)).rows().size());
    }

    /** No memory is allocated for impossible claims. */
    @Test
    void whatAPageCannotUnpackToIsNotTried() throws IOException {
        Limits generous = new Limits(1_000, 1 << 30, 10_000);
        for (int codec : List.of(0, 1, 2, 6)) {
            byte[] file = ParquetBytes.of("a").codec(codec).unpacked(60 << 20).write();
            StoredFile stored = file(file);
            String fault =
                    Allocation.within(1 << 20, () -> assertThrows(JobFailure.class, () -> stored.rows(1, 100, generous))
                            .getMessage());
            assertTrue(fault.endsWith("claims that it unpacks to 62914560 bytes"), fault);
        }
    }

    @Test
    void aCodecThatIsNotReadIsNamed() throws IOException {
        assertTrue(fault(file(ParquetBytes.of("a").codec(7).write())).contains("LZ4_RAW, which is not supported"));
        assertTrue(fault(file(ParquetBytes.of("a").codec(4).write())).contains("BROTLI"));
        assertTrue(fault(file(ParquetBytes.of("a").codec(99).write())).contains("unknown codec, 99"));
    }

    @Test
    void nothingOfAFileWithoutTextsIsRepeated() throws IOException {
        String fault = fault(file(ParquetBytes.of("a").name("CUSTOMERTEXT").write()));
        assertEquals("the file has 1 columns, expected one called text, or text1 and text2", fault);
    }
}
