package io.softcall.api;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;

import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.softcall.S3Server;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Wrong credentials are reported as such. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = @ResourceArg(name = "aws.secretAccessKey", value = "not-the-secret"))
class StoreDeniedTest {

    @Test
    void wrongSecret() {
        given().contentType("application/json")
                .body(Map.of("model", "sentiment", "input", "x"))
                .post("/v1/classify")
                .then()
                .statusCode(502)
                .body("error.type", is("store_denied"))
                .body("error.message", containsString("check the credentials"));
    }
}
