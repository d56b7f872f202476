package io.softcall.jobs.formats.parquet;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.softcall.jobs.files.BytesBucket;
import io.softcall.jobs.files.FileRange;
import io.softcall.jobs.files.FuzzedRows;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.StoredFile;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** Any Parquet file gives all the rows that it claims, with the same result in parts of any size, or is a bad file. */
class ParquetFuzzTest {

    private static final String DECODERS =
            "java.util.zip.ZipException|java.io.EOFException|com.github.luben.zstd.ZstdException|java.io.IOException: [A-Z_]+";

    @FuzzTest
    void rows(byte[] bytes) throws IOException {
        Optional<List<Row>> rows = FuzzedRows.read("x.parquet", bytes, DECODERS);
        if (rows.isPresent()) {
            StoredFile file = BytesBucket.file("x.parquet", bytes);
            assertEquals(
                    ParquetFooter.read(new FileRange(file.bucket(), file.input()))
                            .rows(),
                    rows.get().size());
            assertEquals(
                    rows,
                    FuzzedRows.read(
                            "x.parquet", bytes, DECODERS, 1, 1 + rows.get().size() / 3));
        }
    }
}
