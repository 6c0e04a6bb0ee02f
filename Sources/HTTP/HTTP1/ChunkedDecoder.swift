// The chunked coding (RFC 9112 §7.1), inward: a resumable machine over whatever bytes have arrived.
//
//     chunked-body = *chunk last-chunk trailer-section CRLF
//     chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//
// Sizes are hexadecimal digits and nothing else; extensions are bounded and dropped (§7.1.1: a recipient MUST
// ignore unrecognised ones); trailer fields are checked for form, bounded and dropped (§6.5.1 of RFC 9110).

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

    package init() {}

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
            } else {
                throw .trailer
            }
        case .trailerName:
            if byte == UInt8(ascii: ":") {
                phase = .trailerValue
            } else if !ASCII.token.contains(byte) {
                throw .trailer
            }
        case .trailerValue:
            if byte == 0x0D {
                phase = .trailerLineFeed
            } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
                throw byte == 0x0A ? .bareLineFeed : .trailer
            }
        default:
            if byte != 0x0A { throw .bareCarriageReturn }
            phase = .trailerStart
        }
    }
}
