// The chunked coding (RFC 9112 §7.1), inward: a resumable machine over whatever bytes have arrived.
//
//     chunked-body = *chunk last-chunk trailer-section CRLF
//     chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//
// Sizes are hexadecimal digits and nothing else; extensions are bounded and dropped (§7.1.1: a recipient MUST
// ignore unrecognised ones); trailer fields are checked for form and bounded, and those that may go on are
// kept (`TrailerFields`).

package import Primitives

/// What one step of decoding found.
package struct BodyStep: Sendable, Equatable {
    /// Offset behind the bytes that are done with.
    package var consumed: Int
    /// Content found on the way; the step ends behind it.
    package var content: ByteRange
    /// Whether the body has ended at `consumed`.
    package var isComplete: Bool

    package init(consumed: Int, content: ByteRange, isComplete: Bool) {
        self.consumed = consumed
        self.content = content
        self.isComplete = isComplete
    }
}

/// Takes the chunked coding off a body.
package struct ChunkedDecoder: Sendable {
    private enum Phase: UInt8 {
        case sizeFirst, size, chunkExtension, sizeLineFeed, data, dataReturn, dataLineFeed
        case trailerStart, trailerName, trailerValue, trailerLineFeed, finalLineFeed, done
    }

    private var phase = Phase.sizeFirst
    private var remaining: UInt64 = 0
    private var sizeDigits = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    /// The trailer fields that may go on, each a whole line; complete when the body is. No memory is taken
    /// before there is one.
    package private(set) var trailers: [UInt8] = []
    /// Where the line that is being read begins in `trailers`; nil while it is one that does not go on.
    private var keptLine: Int?
    private var valueStart = 0
    private let refusedTrailers: [[UInt8]]

    /// - Parameter refusedTrailers: names of fields that do not go on in a trailer section, besides
    ///   those that never do.
    package init(refusedTrailers: [[UInt8]] = []) { self.refusedTrailers = refusedTrailers }

    /// Decodes from `start` up to the next piece of content, the end of the body, or the end of `bytes`.
    package mutating func step(
        _ bytes: Span<UInt8>, from start: Int, limits: MessageLimits
    ) throws(ProtocolViolation) -> BodyStep {
        var index = start
        while index < bytes.count && phase != .done {
            if phase == .data {
                let count = Int(min(remaining, UInt64(bytes.count - index)))
                remaining -= UInt64(count)
                if remaining == 0 { phase = .dataReturn }
                return BodyStep(
                    consumed: index + count, content: ByteRange(index, index + count), isComplete: false)
            }
            try advance(bytes[index], limits)
            index += 1
        }
        return BodyStep(consumed: index, content: ByteRange(index, index), isComplete: phase == .done)
    }

    private mutating func advance(_ byte: UInt8, _ limits: MessageLimits) throws(ProtocolViolation) {
        switch phase {
        case .sizeFirst, .size: try advanceSize(byte)
        case .chunkExtension:
            extensionBytes += 1
            if extensionBytes > limits.chunkExtensionBytesMax { throw .chunkExtension }
            if byte == 0x0D {
                phase = .sizeLineFeed
            } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
                throw byte == 0x0A ? .bareLineFeed : .chunkExtension
            }
        case .sizeLineFeed:
            if byte != 0x0A { throw .bareCarriageReturn }
            phase = remaining == 0 ? .trailerStart : .data
            sizeDigits = 0
        case .dataReturn:
            if byte != 0x0D { throw .chunkData }
            phase = .dataLineFeed
        case .dataLineFeed:
            if byte != 0x0A { throw .chunkData }
            phase = .sizeFirst
        case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed: try advanceTrailer(byte, limits)
        case .finalLineFeed:
            if byte != 0x0A { throw .bareCarriageReturn }
            phase = .done
        case .data, .done: break
        }
    }

    /// `chunk-size = 1*HEXDIG`: no sign, no prefix, no space, no underscore, no overflow (15 digits are
    /// 2^60).
    private mutating func advanceSize(_ byte: UInt8) throws(ProtocolViolation) {
        if let digit = ASCII.hexadecimalValue(byte) {
            sizeDigits += 1
            if sizeDigits > 15 { throw .chunkSize }
            remaining = phase == .sizeFirst ? UInt64(digit) : remaining << 4 | UInt64(digit)
            phase = .size
            return
        }
        if phase == .sizeFirst { throw .chunkSize }
        switch byte {
        case 0x0D: phase = .sizeLineFeed
        case UInt8(ascii: ";"): phase = .chunkExtension
        case 0x0A: throw .bareLineFeed
        default: throw .chunkSize
        }
    }

    private mutating func advanceTrailer(_ byte: UInt8, _ limits: MessageLimits) throws(ProtocolViolation) {
        trailerBytes += 1
        if trailerBytes > limits.trailerBytesMax { throw .trailer }
        switch phase {
        case .trailerStart:
            if byte == 0x0D {
                phase = .finalLineFeed
            } else if ASCII.token.contains(byte) {
                phase = .trailerName
                keptLine = trailers.count
                trailers.append(byte)
            } else {
                throw .trailer
            }
        case .trailerName:
            if byte == UInt8(ascii: ":") {
                phase = .trailerValue
                endTrailerName()
            } else if ASCII.token.contains(byte) {
                trailers.append(byte)
            } else {
                throw .trailer
            }
        case .trailerValue:
            if byte == 0x0D {
                phase = .trailerLineFeed
                endTrailerValue()
            } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
                throw byte == 0x0A ? .bareLineFeed : .trailer
            } else if keptLine != nil {
                // RFC 9110 §5.5: white space around a value is no part of it.
                let isBlank = byte == 0x20 || byte == 0x09
                if !isBlank || trailers.count > valueStart { trailers.append(byte) }
            }
        default:
            if byte != 0x0A { throw .bareCarriageReturn }
            phase = .trailerStart
        }
    }

    private mutating func endTrailerName() {
        guard let start = keptLine else { return }
        let mayPass = TrailerFields.mayPass(
            trailers.span.extracting(start..<trailers.count), refused: refusedTrailers)
        if mayPass {
            trailers += [UInt8(ascii: ":"), 0x20]
            valueStart = trailers.count
        } else {
            trailers.removeLast(trailers.count - start)
            keptLine = nil
        }
    }

    private mutating func endTrailerValue() {
        if keptLine == nil { return }
        while trailers.count > valueStart, trailers.last == 0x20 || trailers.last == 0x09 {
            trailers.removeLast()
        }
        trailers += [0x0D, 0x0A]
    }
}
