// Names the fault of a byte that may not stand where it stands in a start line or a field name.
//
// `HeadScanner` judges line ends, and sees them before the parsers do when a head arrives in pieces. So a
// lone CR or LF has to have the same name here, or logs would tell how the network had cut the bytes.

import Primitives

/// The faults of a line that do not depend on what the line is.
enum LineFault {
    /// The fault of the byte at `index`.
    ///
    /// - Parameter otherwise: what it is when neither a lone CR or LF nor a control byte is to blame.
    /// - Returns: nil when the byte is a CR and the next one, telling whether the line ends there, has not
    ///   arrived.
    static func violation(
        _ bytes: Span<UInt8>, at index: Int, otherwise: ProtocolViolation
    ) -> ProtocolViolation? {
        switch bytes[index] {
        case 0x0A: return .bareLineFeed
        case 0x0D:
            guard index + 1 < bytes.count else { return nil }
            return bytes[index + 1] == 0x0A ? otherwise : .bareCarriageReturn
        // White space to most readers: the place says what is wrong with it.
        case 0x09: return otherwise
        case 0x00..<0x20, 0x7F: return .controlByte
        default: return otherwise
        }
    }

    /// The same in a request line, where white space or an early end means that a part is missing or one too
    /// many.
    static func startLine(
        _ bytes: Span<UInt8>, at index: Int, otherwise: ProtocolViolation
    ) -> ProtocolViolation? {
        switch bytes[index] {
        case 0x0D: violation(bytes, at: index, otherwise: .startLine)
        case 0x20: .startLine
        case 0x09: .controlByte
        default: violation(bytes, at: index, otherwise: otherwise)
        }
    }
}
