package io.softcall.jobs.formats;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import io.softcall.jobs.files.JobFailure;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.Rows;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The rows of a CSV file (RFC 4180) in UTF-8; the first record names the columns. Empty fields count as absent. FastCSV
 * parses each record on its own, because within a whole file it could not continue after an invalid record.
 */
final class Csv implements Rows {

    private static final CsvReader.CsvReaderBuilder STRICT =
            CsvReader.builder().allowUnclosedQuote(false).skipEmptyLines(false);

    private final CsvRecords records;
    private final List<String> header;

    /**
     * @param maxCharacters limit of a row; a longer row is an error
     * @throws JobFailure when there is no column for a text, or the file is not UTF-8
     */
    Csv(InputStream in, int maxCharacters) throws IOException {
        this.records = new CsvRecords(in, maxCharacters);
        this.header = header();
    }

    /** Reads the names of the columns. Its messages repeat no name: in a file without a header these are texts. */
    private List<String> header() throws IOException {
        List<String> names = records.next().flatMap(Csv::fields).orElse(List.of());
        Set<String> found = new HashSet<>();
        for (String name : names) {
            if (isOurs(name) && !found.add(name)) {
                throw JobFailure.badFile("the first line names the column %s twice", name);
            }
        }
        if (!found.contains("text") && !(found.contains("text1") && found.contains("text2"))) {
            throw JobFailure.badFile(
                    "the first line names %d columns, expected one called text, or text1 and text2", names.size());
        }
        return names;
    }

    private static boolean isOurs(String column) {
        return column.equals("id") || Row.Fields.TEXTS.contains(column);
    }

    @Override
    public Optional<Row> next() throws IOException {
        return records.next().map(this::row);
    }

    private Row row(CsvRecords.Raw record) {
        if (record.problem().isPresent()) {
            return Row.bad("the row %s", record.problem().get());
        }
        return fields(record).map(this::row).orElseGet(() -> Row.bad("the row is not valid CSV"));
    }

    private Row row(List<String> fields) {
        if (fields.size() != header.size()) {
            return Row.bad("the row has %d fields, expected %d as the first line has", fields.size(), header.size());
        }
        Row.Fields row = new Row.Fields();
        for (int i = 0; i < header.size(); i++) {
            String value = fields.get(i);
            if (!value.isEmpty() && header.get(i).equals("id")) {
                row.textAsId(value);
            } else if (!value.isEmpty() && Row.Fields.TEXTS.contains(header.get(i))) {
                row.text(header.get(i), value);
            }
        }
        return row.row();
    }

    /** Returns the fields of a record; empty when it is invalid. */
    private static Optional<List<String>> fields(CsvRecords.Raw record) {
        if (record.problem().isPresent()) {
            return Optional.empty();
        }
        try (CsvReader<CsvRecord> reader = STRICT.ofCsvRecord(record.text())) {
            return Optional.of(reader.iterator().next().getFields());
        } catch (CsvParseException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException("reading from a string needs no input", e);
        }
    }

    @Override
    public void close() throws IOException {
        records.close();
    }
}
