package io.softcall.jobs;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.CsvRecordHandler;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/** Comma separated values as RFC 4180 has them, in UTF-8; the first record names the columns. Empty fields are absent. */
final class Csv implements Rows {

    private static final List<String> COLUMNS = List.of("id", "task", "text", "text1", "text2");

    /** A longer record is a file without an end to it: nobody could say where the next one begins. */
    private static final int MAX_RECORD_CHARACTERS = 1 << 24;

    private final CsvReader<CsvRecord> reader;
    private final Iterator<CsvRecord> records;
    private final List<String> header;
    private final int maxBytes;

    /** @throws JobFailure when there is no column for a text */
    Csv(InputStream in, int maxBytes) throws IOException {
        this.maxBytes = maxBytes;
        this.reader = CsvReader.builder()
                .detectBomHeader(true)
                .allowUnclosedQuote(false)
                .extraFieldStrategy(FieldMismatchStrategy.IGNORE)
                .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
                .maxBufferSize(MAX_RECORD_CHARACTERS)
                .build(
                        CsvRecordHandler.of(handler ->
                                handler.maxFieldSize(MAX_RECORD_CHARACTERS).maxRecordSize(MAX_RECORD_CHARACTERS)),
                        in);
        this.records = reader.iterator();
        this.header = read().map(CsvRecord::getFields).orElse(List.of());
        boolean hasText = header.contains("text") || header.contains("text1") && header.contains("text2");
        if (!hasText) {
            throw JobFailure.badFile("the first line names the columns %s, expected text, or text1 and text2", header);
        }
    }

    @Override
    public Optional<Row> next() throws IOException {
        return read().map(this::row);
    }

    private Row row(CsvRecord record) {
        if (record.getFieldCount() != header.size()) {
            return Row.bad(
                    "the row has %d fields, expected %d as the first line has", record.getFieldCount(), header.size());
        }
        int characters = record.getFields().stream().mapToInt(String::length).sum();
        if (characters > maxBytes) {
            return Row.bad(
                    "the row has %d characters, at most %d are accepted (softcall.jobs.row-bytes)",
                    characters, maxBytes);
        }
        ObjectNode row = JsonNodeFactory.instance.objectNode();
        for (int i = 0; i < header.size(); i++) {
            if (COLUMNS.contains(header.get(i)) && !record.getField(i).isEmpty()) {
                row.put(header.get(i), record.getField(i));
            }
        }
        return Row.of(row);
    }

    private Optional<CsvRecord> read() throws IOException {
        try {
            return records.hasNext() ? Optional.of(records.next()) : Optional.empty();
        } catch (CsvParseException e) {
            throw JobFailure.badFile("the file is not valid CSV: %s", e.getMessage());
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    @Override
    public void close() throws IOException {
        reader.close();
    }
}
