package io.softcall.api.http;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.hasKey;
import static org.hamcrest.Matchers.startsWith;

import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.S3Server;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The document that the build writes is served in the requested format. */
@QuarkusTest
@WithTestResource(S3Server.class)
class OpenApiTest {

    @Test
    void isYaml() {
        given().get("/q/openapi")
                .then()
                .statusCode(200)
                .contentType(containsString("yaml"))
                .body(startsWith("---\nopenapi: 3"));
    }

    @ParameterizedTest
    @CsvSource({"/q/openapi?format=json, */*", "/q/openapi, application/json"})
    void isJsonForThoseWhoAsk(String path, String accept) {
        given().header("accept", accept)
                .get(path)
                .then()
                .statusCode(200)
                .contentType("application/json")
                .body("info.title", equalTo("Softcall"))
                .body("paths", hasKey("/v1/classify"))
                .body("paths", hasKey("/v1/models/{task}"))
                .body("components.schemas", hasKey("ClassifyRequest"));
    }
}
