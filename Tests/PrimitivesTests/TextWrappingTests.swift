// Text broken into lines, as help prints it.

import Primitives
import Testing

@Suite("Wrapped text")
struct TextWrappingTests {
    @Test("a line is as long as the width, and a word that is one column too long goes to the next")
    func width() {
        #expect(TextWrapping.lines(of: "ab cd ef", width: 5) == ["ab cd", "ef"])
        #expect(TextWrapping.lines(of: "ab cd ef", width: 4) == ["ab", "cd", "ef"])
        #expect(TextWrapping.lines(of: "… – ·", width: 5) == ["… – ·"])
    }

    @Test("a word that no line has room for stays whole")
    func longWord() {
        #expect(TextWrapping.lines(of: "a abcdef b", width: 3) == ["a", "abcdef", "b"])
    }

    @Test("what a line begins with counts, and the others are indented as it is or as they are told")
    func indent() {
        #expect(TextWrapping.lines(of: "ab cd", width: 6, indent: "-c  ") == ["-c  ab", "    cd"])
        #expect(TextWrapping.lines(of: "ab cd", width: 4, indent: "- ", hanging: "") == ["- ab", "cd"])
    }

    @Test("parts with blanks in them are not broken")
    func parts() {
        let lines = TextWrapping.lines(joining: ["a b", "c d", "e"], by: " · ", width: 9)
        #expect(lines == ["a b · c d", "e"])
        #expect(TextWrapping.lines(joining: ["a b", "c d"], by: " · ", width: 8) == ["a b", "c d"])
    }
}
