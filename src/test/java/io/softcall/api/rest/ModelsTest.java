package io.softcall.api.rest;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.everyItem;
import static org.hamcrest.Matchers.greaterThan;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.is;
import static org.hamcrest.Matchers.not;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.path.json.JsonPath;
import io.softcall.S3Server;
import io.softcall.Tiny;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;

/** Lists the tasks of a real bucket, among other objects. */
@QuarkusTest
@WithTestResource(value = S3Server.class)
class ModelsTest {

    private static final int SINCE = 1_700_000_000;

    S3Server store;

    @Test
    void allAtOnceAndAPageAtATime() {
        for (int i = 0; i < 60; i++) {
            object("among/%02d.txt".formatted(i));
            object("Other/%02d/adapter_model.safetensors".formatted(i));
        }
        object("acme/intent/adapter_config.json");
        List<String> many =
                IntStream.range(0, 20).mapToObj("many/%02d"::formatted).toList();
        many.forEach(name -> store.put(name, Tiny.artifact("sentiment")));
        List<String> names = given().get("/v1/models")
                .then()
                .statusCode(200)
                .contentType("application/json")
                .body("object", is("list"))
                .body("has_more", is(false))
                .body("$", not(hasKey("next_after")))
                .body("data.object", everyItem(is("model")))
                .body("data.created", everyItem(greaterThan(SINCE)))
                .extract()
                .path("data.id");
        // Other tests may have left tasks in this bucket.
        assertTrue(names.containsAll(many) && names.containsAll(Tiny.TASKS), names::toString);
        assertTrue(names.stream().noneMatch(name -> name.startsWith("Other") || name.startsWith("among")));
        for (int limit : new int[] {1, 5, names.size(), 10_000}) {
            List<String> paged = new ArrayList<>();
            String after = "";
            while (after != null) {
                JsonPath page = given().queryParam("limit", limit)
                        .queryParam("after", after)
                        .get("/v1/models")
                        .then()
                        .statusCode(200)
                        .extract()
                        .jsonPath();
                paged.addAll(page.getList("data.id"));
                after = page.getString("next_after");
                assertEquals(after != null, page.getBoolean("has_more"));
                assertEquals(after, after == null ? null : paged.getLast());
            }
            assertEquals(names, paged, "by " + limit);
        }
    }

    @Test
    void oneTaskSaysWhenItWasStored() {
        given().get("/v1/models/acme/intent")
                .then()
                .statusCode(200)
                .body("id", is("acme/intent"))
                .body("created", greaterThan(SINCE));
    }

    private void object(String key) {
        store.client()
                .putObject(
                        request -> request.bucket(S3Server.BUCKET).key(S3Server.PREFIX + key),
                        RequestBody.fromString("x"));
    }
}
