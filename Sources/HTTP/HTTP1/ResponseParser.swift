// Response heads (RFC 9112 §4) from an upstream, which is believed no more than a client: whatever is
// malformed becomes a 502 and costs the connection.

import Primitives

/// Parses one response head.
package enum ResponseParser {
    /// Parses the head at the front of `bytes`. On `needsMore` the head is unusable: parse again from the
    /// start when `HeadScanner` has found the end.
    ///
    /// - Parameters:
    ///   - isHead: whether the request was HEAD, whose response has no body whatever its fields say.
    ///   - mayUpgrade: whether the request asked for a WebSocket.
    package static func parse(
        _ bytes: Span<UInt8>, into head: inout ResponseHead, isHead: Bool, mayUpgrade: Bool = false,
        limits: MessageLimits
    ) throws(ProtocolViolation) -> HeadResult {
        head.reset()
        guard case .complete(let lineEnd) = try statusLine(bytes, into: &head),
            case .complete(let end) = try FieldParser.parse(
                bytes, from: lineEnd, into: &head.block, limits: limits)
        else {
            if bytes.count > limits.headBytesMax { throw .headTooLarge }
            return .needsMore
        }
        if end > limits.headBytesMax { throw .headTooLarge }
        head.block.keep(bytes.extracting(0..<end))
        // RFC 9110 §15.2.2: 101 answers an Upgrade that was asked for, and says which one it is. Without
        // this, a tunnel opens that nobody guards (CVE-2026-2833).
        if head.status == 101 {
            let isAgreed =
                mayUpgrade && head.version == .http11 && Persistence.namesWebSocket(head.block, bytes)
            if !isAgreed { throw .unsolicitedUpgrade }
        }
        head.framing = try FramingRules.response(bytes, head, isHead: isHead)
        head.isPersistent = Persistence.isPersistent(version: head.version, block: head.block, bytes: bytes)
        return .complete(end)
    }

    /// RFC 9112 §4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`. The space before an
    /// absent reason phrase is missing in some servers' answers; that misleads nobody and passes.
    private static func statusLine(
        _ bytes: Span<UInt8>, into head: inout ResponseHead
    ) throws(ProtocolViolation) -> HeadResult {
        guard let version = try VersionParser.parse(bytes, at: 0) else { return .needsMore }
        head.version = version
        var index = VersionParser.byteCount
        guard index + 5 <= bytes.count else { return .needsMore }
        if bytes[index] != 0x20 {
            throw LineFault.violation(bytes, at: index, otherwise: .startLine) ?? .startLine
        }
        index += 1
        var status = 0
        for position in index..<(index + 3) {
            if !ASCII.isDigit(bytes[position]) {
                throw LineFault.violation(bytes, at: position, otherwise: .statusCode) ?? .statusCode
            }
            status = status * 10 + Int(bytes[position] - 48)
        }
        // RFC 9110 §15: "Values outside the range 100..599 are invalid".
        if status < 100 || status > 599 { throw .statusCode }
        head.status = status
        index += 3
        if bytes[index] == 0x20 {
            index += 1
        } else if bytes[index] != 0x0D {
            throw LineFault.violation(bytes, at: index, otherwise: .startLine) ?? .startLine
        }
        let reasonStart = index
        while index < bytes.count, bytes[index] >= 0x20 && bytes[index] != 0x7F || bytes[index] == 0x09 {
            index += 1
        }
        guard index + 1 < bytes.count else { return .needsMore }
        if bytes[index] == 0x0A { throw .bareLineFeed }
        if bytes[index] != 0x0D { throw .controlByte }
        if bytes[index + 1] != 0x0A { throw .bareCarriageReturn }
        head.reason = ByteRange(reasonStart, index)
        return .complete(index + 2)
    }
}
