package io.softcall.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Texts become valid Unicode, so that native code counts their characters as Java does. */
class TemplateTest {

    private static Template.Filled fill(String text) throws RefusedException {
        return new Template("a{text}b").fill(List.of(text));
    }

    @Test
    void halfAPairIsOneCharacterOfReplacement() throws RefusedException {
        assertEquals("a\ufffdb", fill("\ud83d").text());
        assertEquals("a\ufffd\ufffdb", fill("\ude80\ud83d").text());
        assertEquals("a🚀\ufffdx\ufffdb", fill("🚀\ude80x\ud83d").text());
        assertEquals("a🚀b", fill("🚀").text());
    }

    @Test
    void halvesOfTwoTextsDoNotJoin() throws RefusedException {
        Template.Filled pair = new Template("{text1}{text2}").fill(List.of("\ud83d", "\ude80"));
        assertEquals("\ufffd\ufffd", pair.text());
        assertEquals(List.of(new Template.Span(0, 1), new Template.Span(1, 2)), pair.spans());
        assertEquals(
                "\ufffd\ufffd",
                new Template("\ud83d{text}").fill(List.of("\ude80")).text());
    }

    @Test
    void spansCountItAsOne() throws RefusedException {
        assertEquals(List.of(new Template.Span(1, 4)), fill("\ud83dx🚀").spans());
    }
}
