// Finds the end of a message head that arrives in pieces. It looks at each byte once, however often it is
// asked, so a client that drips a head byte by byte costs no more than one that sends it at once.
//
// Only line ends are judged here, because a bare CR or LF would move the end; everything else is the parsers'
// task.

import Primitives

/// Looks for the empty line that ends a head, and remembers where it stopped.
package struct HeadScanner: Sendable {
    private var position = 0
    private var lineStart = 0

    package init() {}

    /// How many bytes the head has, its final CRLF included; nil when the end has not arrived.
    ///
    /// - Parameter bytes: all bytes of the head so far, always from the same start.
    package mutating func end(in bytes: Span<UInt8>, limits: MessageLimits) throws(ProtocolViolation) -> Int?
    {
        var index = position
        let count = bytes.count
        while index < count {
            let byte = bytes[index]
            if byte == 0x0A {
                // RFC 9112 §2.2 lets a recipient take a lone LF as a line end; two readers that differ here
                // can be made to see two messages, so it is refused.
                guard index > 0, bytes[index - 1] == 0x0D else { throw .bareLineFeed }
                // A CRLF before the first line is no end (RFC 9112 §2.2); one behind a line is.
                if index - 1 == lineStart && index > 1 { return index + 1 }
                lineStart = index + 1
            } else if index > 0, bytes[index - 1] == 0x0D {
                throw .bareCarriageReturn
            }
            index += 1
        }
        position = index
        if count > limits.headBytesMax { throw .headTooLarge }
        return nil
    }

    /// Starts over for the next head.
    package mutating func reset() {
        position = 0
        lineStart = 0
    }
}
