package io.softcall.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LocationTest {

    @ParameterizedTest
    @CsvSource({
        "s3://bucket,          bucket, ''",
        "s3://bucket/,         bucket, ''",
        "s3://bucket/a,        bucket, a/",
        "s3://bucket/a/b/,     bucket, a/b/",
        "s3://my.bucket-1/a-b, my.bucket-1, a-b/"
    })
    void s3(String uri, String bucket, String prefix) {
        assertEquals(new Location.S3(bucket, prefix), Location.of("x", uri));
        assertEquals(bucket, Location.bucket("x", uri));
    }

    @ParameterizedTest
    @CsvSource({"file:/a/b, /a/b", "file:a/b, a/b", "file:///a/b%20c, /a/b c", "file:/a/b%20c, /a/b%20c"})
    void folders(String uri, String path) {
        assertEquals(new Location.Folder(Path.of(path)), Location.of("x", uri));
        assertEquals(uri, Location.bucket("x", uri));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "bucket",
                "s3://",
                "s3://A",
                "s3://-a-",
                "s3://ab",
                "s4://bucket",
                "FILE:/a",
                "/a",
                "mirror:s3://bucket"
            })
    void neither(String uri) {
        assertEquals(
                "softcall.x=" + uri + ": expected s3://bucket/prefix or file:/dir",
                assertThrows(IllegalArgumentException.class, () -> Location.of("softcall.x", uri))
                        .getMessage());
    }

    @Test
    void mirrors() {
        assertEquals(
                Optional.of(new Location.Mirror(new Location.S3("bucket", "a/"), Path.of("/b"))),
                Location.Mirror.of("x", "mirror:s3://bucket/a?dir=/b"));
        assertEquals(
                Optional.of(new Location.Mirror(new Location.Folder(Path.of("/a")), Path.of("/b"))),
                Location.Mirror.of("x", "mirror:file:/a?dir=/b"));
        assertEquals(Optional.empty(), Location.Mirror.of("x", "s3://bucket/a?dir=/b"));
        for (String uri :
                new String[] {"mirror:", "mirror:s3://bucket/a", "mirror:s3://bucket?dir=", "mirror:?dir=/b"}) {
            assertEquals(
                    "softcall.x=" + uri + ": expected mirror:s3://bucket/prefix?dir=/dir",
                    assertThrows(IllegalArgumentException.class, () -> Location.Mirror.of("softcall.x", uri))
                            .getMessage());
        }
    }

    @Test
    void bucketsOfEvents() {
        assertEquals("s3://bucket", Location.uri("bucket"));
        assertEquals("file:/a", Location.uri("file:/a"));
        assertEquals(true, Location.isFolder("file:/a"));
        assertEquals(false, Location.isFolder("files"));
    }
}
