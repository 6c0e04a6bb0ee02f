// What is written as JSON reads back as what was given, and no value breaks out of its string.

import Primitives
import Support
import Testing

@Suite struct JSONWriterTests {
    @Test("members and elements get their commas, brackets theirs")
    func structure() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string("a", "x")
        writer.beginArray("b")
        writer.number(nil, 1)
        writer.number(nil, -2)
        writer.beginObject()
        writer.endObject()
        writer.beginArray()
        writer.endArray()
        writer.endArray()
        writer.boolean("c", true)
        writer.null("d")
        writer.json("e", "[1,{}]".utf8)
        writer.endObject()
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(text == #"{"a":"x","b":[1,-2,{},[]],"c":true,"d":null,"e":[1,{}]}"#)
    }

    @Test("every ASCII character reads back, as a name and as a value")
    func ascii() throws {
        for value in UInt8(0)..<128 {
            let text = "<\(Character(UnicodeScalar(value)))>"
            let root = try document(text)
            #expect(root[text]?.string == text, "character \(value)")
        }
    }

    @Test(
        "text that could end a string, a line or a log entry stays inside its quotes",
        arguments: [
            #"","admin":true,"x":""#, "\\", "\\\"", "a\r\nb", "\u{0}", "\u{7F}", "é", "😀", "\u{2028}",
            "</script>",
            "\u{1B}[31m", #"\u0022"#,
        ])
    func escapes(_ text: String) throws {
        let root = try document(text)
        #expect(root.members.count == 2)
        #expect(root[text]?.string == text)
        #expect(root["bytes"]?.string == text)
    }

    @Test("nothing below a space leaves unescaped, so a log line is one line")
    func controls() throws {
        var writer = JSONWriter()
        writer.string(nil, String(decoding: UInt8(0)..<128, as: UTF8.self))
        #expect(writer.bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    }

    @Test("random text reads back", arguments: 0..<20)
    func roundTrip(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let scalars = (0..<random.below(20)).compactMap { _ in
                UnicodeScalar(UInt32(random.below(random.below(2) == 0 ? 0x80 : 0x11_0000)))
            }
            var text = "t"
            text.unicodeScalars.append(contentsOf: scalars)
            #expect(
                try document(text)[text]?.string.map { Array($0.utf8) } == Array(text.utf8), "seed \(seed)")
        }
    }

    @Test("the outermost integers read back", arguments: [Int64.min, -1, 0, 1, .max])
    func integers(_ value: Int64) throws {
        var writer = JSONWriter()
        writer.number(nil, value)
        #expect(try JSONDocument(parsing: writer.bytes).root.integer == value)
    }

    /// An object with `text` as a name and as two values.
    private func document(_ text: String) throws -> JSONValue {
        var writer = JSONWriter()
        writer.beginObject()
        writer.string(text, text)
        writer.string("bytes", bytes: Array(text.utf8).span)
        writer.endObject()
        return try JSONDocument(parsing: writer.bytes).root
    }
}
