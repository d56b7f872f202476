package io.softcall.api.rest;

import static io.restassured.RestAssured.given;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.CapturedLog;
import io.softcall.S3Server;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.logging.Level;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.S3Object;

/** The log, manifests and answers never contain anything of a file's rows, whatever is wrong with them. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
            @ResourceArg(name = "softcall.jobs.rules.a.keys", value = "*"),
            @ResourceArg(name = "softcall.jobs.rules.a.task", value = "sentiment"),
        })
class JobSilenceTest {

    /** A text in every row here. Results may contain ids, because the sender of the file reads them. */
    private static final String TEXT = "CUSTOMERTEXT";

    S3Server store;

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            header.csv    | CUSTOMERTEXT,other\\nx,y\\n
            nothing.csv   | CUSTOMERTEXT\\n
            quote.csv     | id,text\\n1,fine\\n2,"CUSTOMERTEXT" y\\n3,fine\\n
            open.csv      | id,text\\n1,"CUSTOMERTEXT\\n2,fine\\n
            fields.csv    | id,text\\n1,CUSTOMERTEXT,CUSTOMERTEXT,3\\n
            json.jsonl    | CUSTOMERTEXT\\n{"text": CUSTOMERTEXT}\\n{"text": "CUSTOMERTEXT\\n["CUSTOMERTEXT"]\\n
            types.jsonl   | {"text": ["CUSTOMERTEXT"]}\\n{"text": "CUSTOMERTEXT", "text1": "CUSTOMERTEXT"}\\n
            task.jsonl    | {"task": "no/such/task", "text": "CUSTOMERTEXT"}\\n{"text": "CUSTOMERTEXT"}\\n
            twice.jsonl   | {"text": "CUSTOMERTEXT", "text": "CUSTOMERTEXT"}\\n
            none.parquet  | CUSTOMERTEXT
            none.jsonl.gz | CUSTOMERTEXT
            """)
    void whateverIsWrongWithARow(String name, String content) {
        String key = "silence/" + name;
        try (CapturedLog log = new CapturedLog()) {
            store.client()
                    .putObject(
                            put -> put.bucket(S3Server.BUCKET).key(key),
                            RequestBody.fromString(content.replace("\\n", "\n"), StandardCharsets.UTF_8));
            String answer = given().contentType("application/json")
                    .body("""
                            {"Records": [{"eventName": "ObjectCreated:Put",
                              "s3": {"bucket": {"name": "softcall-tests"}, "object": {"key": "%s"}}}]}""".formatted(key))
                    .post("/v1/jobs")
                    .then()
                    .statusCode(200)
                    .extract()
                    .asString();
            assertFalse(answer.contains(TEXT), answer);
            assertEquals(
                    List.of(),
                    log.lines(Level.ALL).stream()
                            .filter(line -> line.contains(TEXT))
                            .toList());
        }
        for (S3Object object : store.client()
                .listObjectsV2(list -> list.bucket(S3Server.BUCKET).prefix("results/" + key))
                .contents()) {
            String stored = store.client()
                    .getObjectAsBytes(get -> get.bucket(S3Server.BUCKET).key(object.key()))
                    .asString(StandardCharsets.ISO_8859_1);
            assertFalse(stored.contains(TEXT), () -> object.key() + ": " + stored);
        }
    }
}
