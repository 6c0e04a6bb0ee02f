// A body of either framing as one machine: how many of the bytes at hand are content, and whether the body
// has ended.

package import Primitives

/// Reads a body according to its framing.
package struct BodyReader: Sendable {
    private let framing: BodyFraming
    private var remaining: UInt64
    private var decoder: ChunkedDecoder
    /// Whether the last byte of the body has been seen. `untilClose` ends when the connection does.
    package private(set) var isComplete: Bool

    /// - Parameter refusedTrailers: names of fields that do not go on in a trailer section: identity
    ///   fields of the configuration, and what `Connection` names.
    package init(_ framing: BodyFraming, refusedTrailers: [[UInt8]] = []) {
        self.framing = framing
        decoder = ChunkedDecoder(refusedTrailers: refusedTrailers)
        switch framing {
        case .length(let length):
            remaining = length
            isComplete = length == 0
        case .none:
            remaining = 0
            isComplete = true
        case .chunked, .untilClose:
            remaining = 0
            isComplete = false
        }
    }

    /// The trailer fields that may go on (RFC 9110 §6.5), as whole lines; to be read when the body is
    /// complete.
    package var trailers: [UInt8] { decoder.trailers }

    /// Reads on from `start`: at most up to the next gap between chunks.
    package mutating func step(
        _ bytes: Span<UInt8>, from start: Int, limits: MessageLimits
    ) throws(ProtocolViolation) -> BodyStep {
        if isComplete { return BodyStep(consumed: start, content: ByteRange(start, start), isComplete: true) }
        switch framing {
        case .chunked:
            let step = try decoder.step(bytes, from: start, limits: limits)
            isComplete = step.isComplete
            return step
        case .untilClose:
            return BodyStep(
                consumed: bytes.count, content: ByteRange(start, bytes.count), isComplete: false)
        case .length, .none:
            let count = Int(min(remaining, UInt64(bytes.count - start)))
            remaining -= UInt64(count)
            isComplete = remaining == 0
            return BodyStep(
                consumed: start + count, content: ByteRange(start, start + count), isComplete: isComplete)
        }
    }

    /// The connection has ended: the body is whole only when that is what ends it.
    package mutating func connectionEnded() -> Bool {
        if framing == .untilClose { isComplete = true }
        return isComplete
    }
}

/// Writes content in the framing that the receiving side was promised.
package enum BodyWriter {
    /// Appends a piece of content; in chunked framing with its size line (RFC 9112 §7.1). An empty piece is
    /// nothing: a chunk of size 0 would end the body.
    package static func append(
        _ content: Span<UInt8>, framing: BodyFraming, to output: inout ByteBuffer
    ) {
        if content.isEmpty { return }
        guard framing == .chunked else {
            output.append(content)
            return
        }
        output.append(hexadecimal: UInt64(content.count))
        output.append("\r\n")
        output.append(content)
        output.append("\r\n")
    }

    /// Appends what ends a body.
    ///
    /// - Parameter trailers: lines as `BodyReader.trailers` has them, where the receiving side takes any.
    ///   Only chunked framing has a place for them.
    package static func appendEnd(
        framing: BodyFraming, trailers: [UInt8] = [], to output: inout ByteBuffer
    ) {
        guard framing == .chunked else { return }
        output.append("0\r\n")
        output.append(trailers)
        output.append("\r\n")
    }
}
