// Random edits of good messages, each from a seed that a failure names. Nothing crashes, no cut changes a
// verdict, and what is accepted leaves the gateway as a message that reads the same again.

import Foundation
import HTTP
import Primitives
import Support
import Testing

@Suite struct MutationTests {
    private let limits = MessageLimits()
    private static let spice = Array("\r\n\0\t :,;#/*?%_+-=\"x05".utf8) + [0x7F, 0x80, 0xFF, 0x0B]

    @Test("a mutated request never crashes the parser, and reads again as it was read", arguments: 0..<40)
    func requests(seed: UInt64) throws {
        let originals = try messages("requests")
        var random = SeededGenerator(seed: seed)
        var accepted = 0
        for round in 0..<100 {
            let message = random.mutated(random.pick(originals), spice: Self.spice)
            let reading = EverySplit.request(pieces: [message[...]], limits: limits)
            agree(reading, message, "seed \(seed), round \(round)") { pieces in
                EverySplit.request(pieces: pieces, limits: limits)
            }
            guard case .accepted(let head) = reading else { continue }
            accepted += 1
            try expectSameAgain(head, message, "seed \(seed), round \(round)")
        }
        // A mutation that breaks every message would test nothing.
        #expect(accepted > 0)
    }

    @Test("a mutated response never crashes the parser, however it is cut", arguments: 0..<20)
    func responses(seed: UInt64) throws {
        let originals = try messages("responses")
        var random = SeededGenerator(seed: seed)
        for round in 0..<100 {
            let message = random.mutated(random.pick(originals), spice: Self.spice)
            let isHead = random.below(4) == 0
            let reading = EverySplit.response(pieces: [message[...]], isHead: isHead, limits: limits)
            agree(reading, message, "seed \(seed), round \(round)") { pieces in
                EverySplit.response(pieces: pieces, isHead: isHead, limits: limits)
            }
        }
    }

    @Test("a mutated chunked body comes to one outcome, however it is cut", arguments: 0..<20)
    func bodies(seed: UInt64) throws {
        let originals = try messages("bodies")
        var random = SeededGenerator(seed: seed)
        for round in 0..<50 {
            let message = random.mutated(random.pick(originals), spice: Self.spice)
            let verdict = EverySplit.body(message, framing: .chunked)
            #expect(verdict.disagreements == [], "seed \(seed), round \(round)")
        }
    }

    @Test("random bytes are refused or incomplete, and crash nothing", arguments: 0..<10)
    func noise(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let pieces = [random.bytes(random.below(200))[...]]
            if case .accepted = EverySplit.request(pieces: pieces, limits: limits) {
                Issue.record("accepted noise")
            }
            if case .accepted = EverySplit.response(pieces: pieces, isHead: false, limits: limits) {
                Issue.record("accepted noise")
            }
        }
    }

    // MARK: - Judging

    /// Byte by byte and in two pieces, a message is accepted as the same head or refused as well. A message
    /// with two faults may be refused for either, and one without an end may be refused or still be waited
    /// for.
    private func agree(
        _ whole: Reading<ReadHead>, _ message: [UInt8], _ round: String,
        _ read: ([ArraySlice<UInt8>]) -> Reading<ReadHead>
    ) {
        let middle = message.count / 2
        let ways = [message.indices.map { message[$0...$0] }, [message[..<middle], message[middle...]]]
        for pieces in ways {
            let reading = read(pieces)
            switch (whole, reading) {
            case (.refused, .refused), (.refused, .incomplete), (.incomplete, .refused): break
            default: #expect(reading == whole, "\(round): \(String(decoding: message, as: UTF8.self))")
            }
        }
    }

    /// Writes the lines of an accepted head as the gateway does, and reads the result.
    private func expectSameAgain(_ head: ReadHead, _ message: [UInt8], _ round: String) throws {
        var parsed = RequestHead()
        _ = try RequestParser.parse(message.span, into: &parsed, limits: limits)
        let version = head.version == .http11 ? "1.1" : "1.0"
        let line = "\(head.startLine.joined(separator: " ")) HTTP/\(version)\r\n"
        let again = Array(line.utf8) + parsed.block.written() + [0x0D, 0x0A]
        let reading = EverySplit.request(pieces: [again[...]], limits: limits)
        var expected = head
        expected.count = again.count
        #expect(reading == .accepted(expected), "\(round)")
    }

    private func messages(_ folder: String) throws -> [[UInt8]] {
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Fixtures/\(folder)")
        let vectors = try CaseFile.all(in: fixtures).filter { $0.violation == nil && $0["limits"] == nil }
        return vectors.map(\.message)
    }
}
