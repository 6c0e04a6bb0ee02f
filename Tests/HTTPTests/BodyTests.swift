// Bodies of every framing: read in pieces, written back, and bounded.

import HTTP
import Primitives
import Support
import Testing

@Suite struct BodyTests {
    private let limits = MessageLimits()

    @Test("a body of a length ends at its last byte, and what follows stays", arguments: [0, 1, 5])
    func length(_ length: Int) {
        let message = Array("helloGET /".utf8)
        let verdict = EverySplit.body(message, framing: .length(UInt64(length)))
        #expect(verdict.disagreements == [])
        let expected = ReadBody(
            content: Array(message.prefix(length)), rest: Array(message.dropFirst(length)))
        #expect(verdict.outcome == .accepted(expected))
    }

    @Test("a body that is shorter than its length is incomplete")
    func short() {
        let verdict = EverySplit.body(Array("hell".utf8), framing: .length(5))
        #expect(verdict.disagreements == [])
        #expect(verdict.outcome == .incomplete)
    }

    @Test("a message without body leaves all bytes to the next one")
    func none() {
        let verdict = EverySplit.body(Array("GET /".utf8), framing: .none)
        #expect(verdict.disagreements == [])
        #expect(verdict.outcome == .accepted(ReadBody(content: [], rest: Array("GET /".utf8))))
    }

    @Test("a body until close takes everything, and only the end of the connection completes it")
    func untilClose() throws {
        let verdict = EverySplit.body(Array("hello\r\n\r\n".utf8), framing: .untilClose)
        #expect(verdict.disagreements == [])
        #expect(verdict.outcome == .accepted(ReadBody(content: Array("hello\r\n\r\n".utf8), rest: [])))
        var reader = BodyReader(.untilClose)
        let bytes: [UInt8] = [1, 2, 3]
        let step = try reader.step(bytes.span, from: 0, limits: limits)
        #expect(step == BodyStep(consumed: 3, content: ByteRange(0, 3), isComplete: false))
        #expect(!reader.isComplete)
        let isWhole = reader.connectionEnded()
        #expect(isWhole)
    }

    @Test("a chunked body that the connection's end cuts off is not complete, at whatever byte it is cut")
    func cutOff() throws {
        let message = Array("5;x\r\nhello\r\n0\r\nX: y\r\n\r\n".utf8)
        for count in message.indices {
            var reader = BodyReader(.chunked)
            var start = 0
            let part = Array(message[..<count])
            while start < count { start = try reader.step(part.span, from: start, limits: limits).consumed }
            #expect(!reader.isComplete)
            let isWhole = reader.connectionEnded()
            #expect(!isWhole, "cut at \(count)")
        }
    }

    @Test("a length near the top of the range is counted without wrapping")
    func longest() throws {
        var reader = BodyReader(.length(999_999_999_999_999_999))
        let bytes: [UInt8] = [1, 2, 3]
        let step = try reader.step(bytes.span, from: 1, limits: limits)
        #expect(step == BodyStep(consumed: 3, content: ByteRange(1, 3), isComplete: false))
    }

    @Test("what is written chunked reads back as the same content, however it is cut")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            var output = ByteBuffer()
            var content: [UInt8] = []
            for _ in 0..<random.below(5) {
                let piece = random.bytes(random.below(40))
                content += piece
                BodyWriter.append(piece.span, framing: .chunked, to: &output)
            }
            BodyWriter.appendEnd(framing: .chunked, to: &output)
            let message = output.withReadable { [UInt8](copying: $0) }
            let verdict = EverySplit.body(message, framing: .chunked)
            #expect(verdict.disagreements == [])
            #expect(verdict.outcome == .accepted(ReadBody(content: content, rest: [])))
        }
    }

    @Test("an empty piece writes nothing, for a chunk of size 0 would end the body")
    func emptyPiece() {
        var output = ByteBuffer()
        let (nothing, letter): ([UInt8], [UInt8]) = ([], [65])
        BodyWriter.append(nothing.span, framing: .chunked, to: &output)
        #expect(output.count == 0)
        BodyWriter.append(letter.span, framing: .length(1), to: &output)
        BodyWriter.appendEnd(framing: .length(1), to: &output)
        #expect(output.withReadable { [UInt8](copying: $0) } == [65])
    }

    @Test("the extensions of all chunks together are bounded by default (CVE-2023-39326)")
    func extensions() {
        let chunk = Array("1;\(String(repeating: "x", count: 1023))\r\ny\r\n".utf8)
        let end = Array("0\r\n\r\n".utf8)
        let four = [(chunk + chunk + chunk + chunk + end)[...]]
        let five = [(chunk + chunk + chunk + chunk + chunk + end)[...]]
        let accepted = ReadBody(content: Array("yyyy".utf8), rest: [])
        // A line's CR counts: 4 · 1024 is exactly the limit.
        #expect(EverySplit.body(pieces: four, framing: .chunked, limits: limits) == .accepted(accepted))
        #expect(EverySplit.body(pieces: five, framing: .chunked, limits: limits) == .refused(.chunkExtension))
    }
}
