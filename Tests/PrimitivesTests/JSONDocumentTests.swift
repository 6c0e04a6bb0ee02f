// JSON as the gateway believes it: RFC 8259 to the letter, no member twice, nothing behind the value.

import Foundation
import Primitives
import Support
import Testing

@Suite struct JSONDocumentTests {
    @Test(
        "a text that is no JSON is refused, and its repaired form is read",
        arguments: [
            ("", "0"), ("{", "{}"), ("[1,]", "[1]"), ("[,1]", "[1]"), ("{\"a\":1,}", "{\"a\":1}"),
            ("{a:1}", "{\"a\":1}"), ("{'a':1}", "{\"a\":1}"), ("{\"a\" 1}", "{\"a\":1}"),
            ("{\"a\":}", "{\"a\":0}"),
            ("[1 2]", "[1,2]"), ("01", "1"), ("+1", "1"), ("1.", "1.0"), (".5", "0.5"), ("1e", "1e1"),
            ("1e+", "1e+1"), ("-", "-1"), ("--1", "-1"), ("0x10", "16"), ("NaN", "null"), ("Infinity", "1"),
            ("True", "true"), ("tru", "true"), ("nul", "null"), ("\"a", "\"a\""), ("\"\t\"", "\"\\t\""),
            ("\"\n\"", "\"\\n\""), ("\"\0\"", "\"\\u0000\""), ("\"\\x41\"", "\"\\u0041\""),
            ("\"\\u004\"", "\"\\u0041\""),
            ("\"\\u00g1\"", "\"\\u00f1\""), ("\"\\\"", "\"\\\\\""), ("1 2", "1"), ("{} x", "{} "),
            ("1,", "1"),
            ("\u{FEFF}1", "1"), ("//\n1", "1"), ("\u{A0}1", "\t1"), ("1\u{0B}", "1\r\n"), ("[1}", "[1]"),
            ("-01", "-0"),
        ])
    func grammar(_ broken: String, _ repaired: String) throws {
        #expect(throws: JSONError.self) { try parse(broken) }
        #expect(throws: Never.self) { try parse(repaired) }
    }

    @Test(
        "a member name that stands twice is refused, also when an escape hides it",
        arguments: [
            #"{"exp":1,"exp":2}"#, #"{"exp":1,"\u0065xp":2}"#, #"{"\u0065xp":1,"exp":2}"#,
            #"{"e\u0078p":1,"ex\u0070":2}"#, #"{"a":{"b":1,"c":2,"b":3}}"#, #"{"/":1,"\/":2}"#,
            #"{"é":1,"\u00e9":2}"#, #"{"😀":1,"\ud83d\uDE00":2}"#, #"{"":1,"":2}"#,
            #"[{"a":[1,{"x":2}],"a":3}]"#,
        ])
    func duplicates(_ text: String) {
        #expect { try parse(text) } throws: { error in
            if case JSONError.duplicateMember = error { true } else { false }
        }
    }

    @Test(
        "names that differ are no duplicates, however much they look alike",
        arguments: [
            #"{"exp":1,"Exp":2}"#, #"{"exp":1,"exp ":2}"#, #"{"exp":1,"\\u0065xp":2}"#,
            #"{"a":{"b":1},"b":2}"#,
            #"{"\u00e9":1,"e\u0301":2}"#, #"{"K":1,"\u212a":2}"#, #"{"a":1,"a\u0000":2}"#,
        ])
    func nearDuplicates(_ text: String) {
        #expect(throws: Never.self) { try parse(text) }
    }

    @Test("a member is found by its code points, not by what looks the same")
    func lookUp() throws {
        let document = try parse(#"{"\u212aey":1,"e\u0301":2,"\u0061b":3,"a":{"b":4}}"#)
        #expect(document.root["Key"] == nil)
        #expect(document.root["é"] == nil)
        #expect(document.root["ab"]?.integer == 3)
        #expect(document.root["b"] == nil)
        #expect(document.root["a"]?["b"]?.integer == 4)
        #expect(document.root["a"]?["b"]?["c"] == nil)
    }

    @Test("nesting is bounded, arrays and objects alike", arguments: [0, 1, 16])
    func depth(depthMax: Int) {
        let arrays = { (depth: Int) in
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let objects = { (depth: Int) in
            String(repeating: "{\"a\":", count: depth) + "0" + String(repeating: "}", count: depth)
        }
        #expect(throws: Never.self) {
            try JSONDocument(parsing: Array(arrays(depthMax + 1).utf8), depthMax: depthMax)
        }
        #expect(throws: Never.self) {
            try JSONDocument(parsing: Array(objects(depthMax).utf8), depthMax: depthMax)
        }
        for text in [arrays(depthMax + 2), objects(depthMax + 1), String(repeating: "[", count: 100_000)] {
            #expect { try JSONDocument(parsing: Array(text.utf8), depthMax: depthMax) } throws: { error in
                if case JSONError.tooLarge = error { true } else { false }
            }
        }
    }

    @Test("the number of values is bounded")
    func nodes() {
        #expect(throws: Never.self) { try JSONDocument(parsing: Array("[1,2,3]".utf8), nodesMax: 4) }
        #expect(throws: JSONError.tooLarge(at: 5)) {
            try JSONDocument(parsing: Array("[1,2,3]".utf8), nodesMax: 3)
        }
    }

    @Test("an object of a thousand escaped names is checked for duplicates in no time")
    func manyNames() throws {
        let members = (0..<2000).map { #""\u0061\#($0)":0"# }
        let text = "{\(members.joined(separator: ","))}"
        let clock = ContinuousClock()
        let elapsed = try clock.measure { _ = try parse(text) }
        // It takes milliseconds, and took a quarter of a minute when each pair of names was decoded.
        #expect(elapsed < .seconds(5))
    }

    @Test(
        "a lone surrogate is refused",
        arguments: [
            #""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\ud83d""#, #""\ude00\ud83d""#,
            #""\ud83d\u0041""#, #""\ud83d\u""#, #""\ud83d\ude0""#,
        ])
    func surrogates(_ text: String) throws {
        #expect(throws: JSONError.self) { try parse(text) }
        #expect(try parse(#""\ud83d\ude00""#).root.string == "😀")
    }

    @Test(
        "bytes that are no UTF-8 are refused: overlong, surrogate, beyond U+10FFFF, cut short",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x80, 0x80],
            [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xF0, 0x9F, 0x98],
        ] as [[UInt8]])
    func utf8(_ bytes: [UInt8]) {
        let quoted = [0x22] + bytes + [0x22]
        #expect(throws: JSONError.self) { try JSONDocument(parsing: quoted) }
        #expect(throws: JSONError.self) { try JSONDocument(parsing: [0x22] + bytes) }
    }

    @Test(
        "a number is an integer, a whole number, or neither",
        arguments: [
            ("0", 0, 0), ("-0", 0, 0), ("9223372036854775807", .max, .max),
            ("-9223372036854775808", .min, .min),
            ("1.9", nil, 1), ("-1.9", nil, -1), ("1e3", nil, 1000), ("-0.0", nil, 0), ("1e-400", nil, 0),
            ("9223372036854775808", nil, nil), ("1e400", nil, nil), ("-1e400", nil, nil), ("1e19", nil, nil),
            ("1" + String(repeating: "0", count: 400), nil, nil), ("1e99999999999999999999", nil, nil),
            ("\"1\"", nil, nil), ("null", nil, nil),
        ] as [(String, Int64?, Int64?)])
    func numbers(_ text: String, _ integer: Int64?, _ whole: Int64?) throws {
        let root = try parse(text).root
        #expect(root.integer == integer)
        #expect(root.wholeNumber == whole)
    }

    @Test("a mutated text never crashes, and Foundation reads whatever is accepted", arguments: 0..<30)
    func mutation(seed: UInt64) throws {
        let originals = [
            #"{"iss":"https://a.example","exp":1700000000,"aud":["a","b"],"x":{"y":[1,2.5e3,-0,true,null]}}"#,
            #"["\u00e9\ud83d\ude00\n\"\\","é😀",{"":"","a":{}},[[[]]],1e400]"#,
        ]
        var random = SeededGenerator(seed: seed)
        let spice = Array("\"\\{}[]:,u0eE+-.du8 \n\0".utf8) + [0xC0, 0xED, 0xF4, 0x80]
        for round in 0..<300 {
            let bytes = random.mutated(Array(random.pick(originals).utf8), spice: spice)
            guard let document = try? JSONDocument(parsing: bytes) else { continue }
            visit(document.root)
            #expect(String(validating: bytes, as: UTF8.self) != nil, "seed \(seed), round \(round)")
            // Foundation refuses numbers beyond its range, which are JSON all the same.
            if bytes.contains(UInt8(ascii: "e")) || bytes.contains(UInt8(ascii: "E")) { continue }
            #expect(throws: Never.self, "seed \(seed), round \(round)") {
                try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            }
        }
    }

    // MARK: - Parts

    @discardableResult
    private func parse(_ text: String) throws -> JSONDocument { try JSONDocument(parsing: Array(text.utf8)) }

    /// Asks a value everything that can be asked.
    private func visit(_ value: JSONValue) {
        _ = (value.string, value.integer, value.wholeNumber, value.boolean, value.text, value["a"])
        for (_, member) in value.members { visit(member) }
        for element in value.elements { visit(element) }
    }
}
