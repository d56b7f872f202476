package io.softcall.store.s3;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.ConfigMappings;
import io.softcall.SoftcallException;
import io.softcall.StandIn;
import io.softcall.StandIn.Reply;
import io.softcall.StandIn.Request;
import io.softcall.store.StoreConfig;
import io.softcall.store.TimeLimits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Identities without keys, as AWS gives them to pods and people. A process with such an environment lists a bucket. One server
 * stands in for STS, SSO and the agent of pods. It also stands in for S3, which accepts only the credentials that those have
 * issued.
 */
class IdentityTest {

    private static final String KEY = "ASIATEMPORARY";
    private static final String TOKEN = "session-token";
    private static final String ROLE = "arn:aws:iam::123456789012:role/softcall";

    @TempDir
    Path home;

    private StandIn aws;
    private boolean denies;

    @BeforeEach
    void open() throws IOException {
        aws = new StandIn(this::answer);
        Files.createDirectories(home.resolve(".aws/sso/cache"));
        Files.writeString(home.resolve("token"), "the pod's token");
    }

    @AfterEach
    void close() {
        aws.close();
    }

    /** The environment that EKS sets for a service account whose annotation names a role. */
    @Test
    void aServiceAccountsToken() throws Exception {
        assertEquals(
                "[]",
                listed(Map.of(
                        "AWS_WEB_IDENTITY_TOKEN_FILE", home.resolve("token").toString(), "AWS_ROLE_ARN", ROLE)));
        Request asked = aws.requests().getFirst();
        assertTrue(asked.body().contains("Action=AssumeRoleWithWebIdentity"), asked.body());
        assertTrue(
                asked.body().contains("the+pod%27s+token") || asked.body().contains("the%20pod%27s%20token"),
                asked.body());
    }

    /** The error contains STS's message, because it names what must be repaired, usually the role's trust policy. */
    @Test
    void aTokenThatIsRefused() throws Exception {
        denies = true;
        String said = listed(
                Map.of("AWS_WEB_IDENTITY_TOKEN_FILE", home.resolve("token").toString(), "AWS_ROLE_ARN", ROLE));
        assertTrue(said.startsWith("STORE_DENIED"), said);
        assertTrue(said.contains("found (Not authorized to perform sts:AssumeRoleWithWebIdentity"), said);
    }

    /** The environment that EKS Pod Identity and ECS set. */
    @Test
    void theAgentOfPods() throws Exception {
        assertEquals(
                "[]",
                listed(Map.of(
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                        aws.uri() + "/v1/credentials",
                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                        home.resolve("token").toString())));
        assertEquals(
                "the pod's token",
                aws.requests().getFirst().header("Authorization").orElseThrow());
    }

    @Test
    void aProfileWithARole() throws Exception {
        config("""
                [profile work]
                role_arn = %s
                source_profile = base
                [profile base]
                aws_access_key_id = AKIABASE
                aws_secret_access_key = secret
                """.formatted(ROLE));
        assertEquals("[]", listed(Map.of("AWS_PROFILE", "work")));
        assertTrue(aws.requests().getFirst().body().contains("Action=AssumeRole&"));
    }

    @Test
    void aProfileWithARoleAndAToken() throws Exception {
        config("""
                [default]
                role_arn = %s
                web_identity_token_file = %s
                """.formatted(ROLE, home.resolve("token")));
        assertEquals("[]", listed(Map.of()));
        assertTrue(aws.requests().getFirst().body().contains("Action=AssumeRoleWithWebIdentity"));
    }

    /** The state after `aws sso login`, which leaves a token. */
    @Test
    void aProfileWithSso() throws Exception {
        config("""
                [default]
                sso_session = people
                sso_account_id = 123456789012
                sso_role_name = softcall
                [sso-session people]
                sso_region = us-east-1
                sso_start_url = https://people.awsapps.com/start
                """);
        Files.writeString(home.resolve(".aws/sso/cache/%s.json".formatted(sha1("people"))), """
                        {"startUrl": "https://people.awsapps.com/start", "region": "us-east-1", "accessToken": "the person's token",
                         "expiresAt": "2099-01-01T00:00:00Z"}
                        """);
        assertEquals("[]", listed(Map.of()));
        Request asked = aws.requests().getFirst();
        assertEquals("/federation/credentials", asked.uri().getPath());
        assertEquals(
                "the person's token", asked.header("X-amz-sso_bearer_token").orElseThrow());
    }

    @Test
    void noneAtAll() throws Exception {
        String said = listed(Map.of());
        assertTrue(said.startsWith("STORE_DENIED"), said);
        assertTrue(said.contains("no credentials found;"), said);
    }

    private Reply answer(Request request) {
        if (request.uri().getPath().startsWith("/bucket")) {
            boolean known = request.header("Authorization").orElse("").contains("Credential=" + KEY)
                    && request.header("X-amz-security-token")
                            .filter(TOKEN::equals)
                            .isPresent();
            return known
                    ? Reply.of(200, Map.of(), "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
                    : Reply.of(403, Map.of(), "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>");
        }
        if (denies) {
            return Reply.of(403, Map.of(), """
                    <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
                    <Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>""");
        }
        if (request.uri().getPath().startsWith("/federation")) {
            return Reply.of(200, Map.of(), """
                    {"roleCredentials": {"accessKeyId": "%s", "secretAccessKey": "secret", "sessionToken": "%s",
                     "expiration": 4070908800000}}""".formatted(KEY, TOKEN));
        }
        if (request.method().equals("GET")) {
            return Reply.of(200, Map.of(), """
                    {"AccessKeyId": "%s", "SecretAccessKey": "secret", "Token": "%s", "Expiration": "2099-01-01T00:00:00Z"}""".formatted(KEY, TOKEN));
        }
        String action =
                request.body().contains("AssumeRoleWithWebIdentity") ? "AssumeRoleWithWebIdentity" : "AssumeRole";
        return Reply.of(200, Map.of("Content-Type", "text/xml"), """
                <%1$sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%1$sResult><Credentials>
                <AccessKeyId>%2$s</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>%3$s</SessionToken>
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></%1$sResult></%1$sResponse>""".formatted(action, KEY, TOKEN));
    }

    private void config(String content) throws IOException {
        Files.writeString(home.resolve(".aws/config"), content);
    }

    private static String sha1(String text) throws Exception {
        return java.util.HexFormat.of()
                .formatHex(
                        java.security.MessageDigest.getInstance("SHA-1").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** Returns this environment, and what leads to the stand-in. */
    Map<String, String> variables(Map<String, String> environment) {
        Map<String, String> variables = new TreeMap<>(environment);
        variables.put("AWS_ENDPOINT_URL", aws.uri().toString());
        variables.put("AWS_REGION", "us-east-1");
        variables.put("AWS_EC2_METADATA_DISABLED", "true");
        variables.put("HOME", home.toString());
        return variables;
    }

    /** Returns the listing of a process that has this environment, and no other settings of AWS. */
    String listed(Map<String, String> environment) throws Exception {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-Duser.home=" + home,
                "-cp",
                System.getProperty("java.class.path"),
                IdentityTest.class.getName());
        builder.environment().keySet().removeIf(name -> name.startsWith("AWS_"));
        builder.environment().putAll(variables(environment));
        Process process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return said.lines()
                .filter(line -> line.startsWith("> "))
                .findFirst()
                .orElse(said)
                .replaceFirst("^> ", "");
    }

    /** The program that lists a bucket. */
    public static void main(String... arguments) {
        S3Clients clients =
                new S3Clients(ConfigMappings.of(StoreConfig.class, Map.of("softcall.store.timeout", "20S")));
        S3Store store = new S3Store(
                clients, "bucket", "", 1_000, new TimeLimits(Duration.ofSeconds(20), Duration.ofSeconds(20)));
        try {
            System.out.println("> " + store.list("", "/object", "", 10).entries());
        } catch (SoftcallException e) {
            System.out.println("> " + e.reason() + " " + e.getMessage());
        }
        clients.close();
    }
}
