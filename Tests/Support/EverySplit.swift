// Feeds a message in every way in which a network can cut it: whole, in two pieces at each boundary, byte by
// byte. Where the bytes were cut must not matter to anyone, so all of these have to come to the same outcome.
//
// Heads go the way of a connection: the parser tries first, and when it needs more, `HeadScanner` looks for
// the end before the parser is asked again. That makes two readers of one message, and this is where they are
// compared.

package import HTTP
import Primitives

/// What reading a message came to.
package enum Reading<Message: Equatable & Sendable>: Equatable, Sendable {
    case accepted(Message)
    case refused(ProtocolViolation)
    /// The message ended before its end was seen.
    case incomplete
}

/// The outcome of a message fed whole, and the ways of feeding that came to another one.
package struct SplitVerdict<Outcome: Equatable & Sendable>: Sendable {
    package let outcome: Outcome
    /// Each as a sentence that names the way and its outcome; empty when all agree.
    package fileprivate(set) var disagreements: [String] = []
}

/// Feeding in every way.
package enum EverySplit {
    /// Feeds `message` to `read` in every way; `read` is given the pieces in their order.
    package static func verdict<Outcome: Equatable & Sendable>(
        of message: [UInt8], _ read: ([ArraySlice<UInt8>]) -> Outcome
    ) -> SplitVerdict<Outcome> {
        var verdict = SplitVerdict(outcome: read([message[...]]))
        func compare(_ way: String, _ pieces: [ArraySlice<UInt8>]) {
            let outcome = read(pieces)
            if outcome != verdict.outcome { verdict.disagreements.append("\(way): \(outcome)") }
        }
        for boundary in message.indices.dropFirst() {
            compare("cut at \(boundary)", [message[..<boundary], message[boundary...]])
        }
        compare("byte by byte", message.indices.map { message[$0...$0] })
        return verdict
    }

    /// A request head, and where it ended.
    package static func request(
        _ message: [UInt8], limits: MessageLimits = MessageLimits()
    ) -> SplitVerdict<Reading<ReadHead>> {
        verdict(of: message) { pieces in request(pieces: pieces, limits: limits) }
    }

    /// A response head, and where it ended.
    package static func response(
        _ message: [UInt8], isHead: Bool = false, limits: MessageLimits = MessageLimits()
    ) -> SplitVerdict<Reading<ReadHead>> {
        verdict(of: message) { pieces in response(pieces: pieces, isHead: isHead, limits: limits) }
    }

    /// A body of that framing.
    package static func body(
        _ message: [UInt8], framing: BodyFraming, limits: MessageLimits = MessageLimits()
    ) -> SplitVerdict<Reading<ReadBody>> {
        verdict(of: message) { pieces in body(pieces: pieces, framing: framing, limits: limits) }
    }

    // MARK: - One way of feeding

    /// A request head that arrives in these pieces.
    package static func request(pieces: [ArraySlice<UInt8>], limits: MessageLimits) -> Reading<ReadHead> {
        var head = RequestHead()
        let reading = feed(pieces, limits) { (bytes) throws(ProtocolViolation) in
            try RequestParser.parse(bytes, into: &head, limits: limits)
        }
        return reading.map { ReadHead(head, count: $0) }
    }

    /// A response head that arrives in these pieces.
    package static func response(
        pieces: [ArraySlice<UInt8>], isHead: Bool, limits: MessageLimits
    ) -> Reading<ReadHead> {
        var head = ResponseHead()
        let reading = feed(pieces, limits) { (bytes) throws(ProtocolViolation) in
            try ResponseParser.parse(bytes, into: &head, isHead: isHead, limits: limits)
        }
        return reading.map { ReadHead(head, count: $0) }
    }

    /// A body that arrives in these pieces; what is not consumed stays in front of the next piece.
    package static func body(
        pieces: [ArraySlice<UInt8>], framing: BodyFraming, limits: MessageLimits
    ) -> Reading<ReadBody> {
        var reader = BodyReader(framing)
        var input: [UInt8] = []
        var content: [UInt8] = []
        do throws(ProtocolViolation) {
            for piece in pieces {
                input += piece
                while !reader.isComplete && !input.isEmpty {
                    let step = try reader.step(input.span, from: 0, limits: limits)
                    content += input[step.content.offsets]
                    input.removeFirst(step.consumed)
                }
            }
        } catch {
            return .refused(error)
        }
        guard reader.isComplete || reader.connectionEnded() else { return .incomplete }
        return .accepted(ReadBody(content: content, trailers: reader.trailers, rest: input))
    }

    /// The way of a head through a connection.
    private static func feed(
        _ pieces: [ArraySlice<UInt8>], _ limits: MessageLimits,
        _ parse: (Span<UInt8>) throws(ProtocolViolation) -> HeadResult
    ) -> Reading<Int> {
        var scanner = HeadScanner()
        var input: [UInt8] = []
        var isPartial = false
        do throws(ProtocolViolation) {
            for piece in pieces {
                input += piece
                if isPartial, try scanner.end(in: input.span, limits: limits) == nil { continue }
                if case .complete(let count) = try parse(input.span) { return .accepted(count) }
                isPartial = true
            }
        } catch {
            return .refused(error)
        }
        return .incomplete
    }
}

extension Reading {
    /// The same outcome of another message.
    fileprivate func map<Other>(_ transform: (Message) -> Other) -> Reading<Other> {
        switch self {
        case .accepted(let message): .accepted(transform(message))
        case .refused(let violation): .refused(violation)
        case .incomplete: .incomplete
        }
    }
}
