// Request heads (RFC 9112 §2-3): the request line, the field lines, and what follows from them: framing,
// authority, persistence. All rules that keep two readers from seeing two different requests are here or in
// `BodyFraming`.

import Primitives

/// What parsing a head came to.
package enum HeadResult: Sendable, Equatable {
    /// What was parsed is complete and ends before this offset.
    case complete(Int)
    /// Its end has not arrived.
    case needsMore
}

/// Parses one request head.
package enum RequestParser {
    /// Parses the head at the front of `bytes`. On `needsMore` the head is unusable: parse again from the
    /// start when `HeadScanner` has found the end.
    package static func parse(
        _ bytes: Span<UInt8>, into head: inout RequestHead, limits: MessageLimits
    ) throws(ProtocolViolation) -> HeadResult {
        head.reset()
        var start = 0
        // RFC 9112 §2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received prior to the
        // request-line". One, and no more.
        if bytes.count >= 1 && bytes[0] == 0x0D {
            guard bytes.count >= 2 else { return .needsMore }
            if bytes[1] != 0x0A { throw .bareCarriageReturn }
            start = 2
        }
        guard case .complete(let lineEnd) = try requestLine(bytes, from: start, into: &head, limits: limits)
        else {
            if bytes.count > limits.headBytesMax { throw .headTooLarge }
            return .needsMore
        }
        guard
            case .complete(let end) = try FieldParser.parse(
                bytes, from: lineEnd, into: &head.block, limits: limits)
        else {
            if bytes.count > limits.headBytesMax { throw .headTooLarge }
            return .needsMore
        }
        if end > limits.headBytesMax { throw .headTooLarge }
        head.block.keep(bytes.extracting(0..<end))
        try resolveTarget(bytes, &head)
        try resolveAuthority(bytes, &head)
        head.framing = try FramingRules.request(bytes, head)
        head.isPersistent = Persistence.isPersistent(version: head.version, block: head.block, bytes: bytes)
        try resolveExpectation(bytes, &head)
        head.asksForWebSocket =
            head.method == .get && head.version == .http11 && head.framing == .none
            && Persistence.namesWebSocket(head.block, bytes)
        return .complete(end)
    }

    /// RFC 9112 §3: `request-line = method SP request-target SP HTTP-version`, with exactly one space.
    private static func requestLine(
        _ bytes: Span<UInt8>, from start: Int, into head: inout RequestHead, limits: MessageLimits
    ) throws(ProtocolViolation) -> HeadResult {
        let token = ASCII.token
        let count = bytes.count
        var index = start
        while index < count, token.contains(bytes[index]) { index += 1 }
        if index - start > methodBytesMax { throw .methodToken }
        guard index < count else { return .needsMore }
        if index == start || bytes[index] != 0x20 {
            guard let fault = LineFault.startLine(bytes, at: index, otherwise: .methodToken) else {
                return .needsMore
            }
            throw fault
        }
        head.methodRange = ByteRange(start, index)
        head.method = Method(bytes.extracting(start..<index))

        let targetStart = index + 1
        index = targetStart
        while index < count {
            let byte = bytes[index]
            // Visible ASCII. RFC 3986 has no raw byte from 0x80 up, and a fragment is never sent (RFC 9112
            // §3.2): a `#` is matched by one reader and dropped by the next (CVE-2021-32779).
            if byte <= 0x20 || byte >= 0x7F || byte == UInt8(ascii: "#") { break }
            index += 1
        }
        if index - targetStart > limits.targetBytesMax { throw .targetTooLong }
        guard index < count else { return .needsMore }
        if index == targetStart || bytes[index] != 0x20 {
            guard let fault = LineFault.startLine(bytes, at: index, otherwise: .target) else {
                return .needsMore
            }
            throw fault
        }
        head.target = ByteRange(targetStart, index)

        let versionStart = index + 1
        guard let version = try VersionParser.parse(bytes, at: versionStart) else { return .needsMore }
        head.version = version
        index = versionStart + VersionParser.byteCount
        guard index < count else { return .needsMore }
        if bytes[index] != 0x0D {
            guard let fault = LineFault.startLine(bytes, at: index, otherwise: .startLine) else {
                return .needsMore
            }
            throw fault
        }
        guard index + 1 < count else { return .needsMore }
        if bytes[index + 1] != 0x0A { throw .bareCarriageReturn }
        return .complete(index + 2)
    }

    /// RFC 9112 §3.2: origin-form, absolute-form (which a server MUST accept), or `*` for OPTIONS.
    private static func resolveTarget(_ bytes: Span<UInt8>, _ head: inout RequestHead)
        throws(ProtocolViolation)
    {
        if head.method == .connect { throw .connectMethod }
        var pathStart = head.target.start
        let end = head.target.end
        if bytes[pathStart] == UInt8(ascii: "*") {
            guard head.target.count == 1, head.method == .options else { throw .target }
            head.targetForm = .asterisk
            return
        }
        if bytes[pathStart] != UInt8(ascii: "/") {
            head.targetForm = .absolute
            guard let authorityStart = schemeEnd(bytes, head.target) else { throw .target }
            var index = authorityStart
            while index < end, ASCII.authority.contains(bytes[index]) { index += 1 }
            // RFC 9110 §4.2.1: an http URI with an empty host is invalid.
            guard index > authorityStart else { throw .target }
            head.authority = ByteRange(authorityStart, index)
            guard index < end, bytes[index] == UInt8(ascii: "/") else { throw .target }
            pathStart = index
        }
        var pathEnd = pathStart
        while pathEnd < end && bytes[pathEnd] != UInt8(ascii: "?") { pathEnd += 1 }
        head.path = ByteRange(pathStart, pathEnd)
        head.query = ByteRange(pathEnd, end)
    }

    private static func schemeEnd(_ bytes: Span<UInt8>, _ target: ByteRange) -> Int? {
        for scheme: StaticString in ["http://", "https://"] {
            let end = target.start + scheme.utf8CodeUnitCount
            if end <= target.end,
                bytes.extracting(target.start..<end).equalsIgnoringCase(scheme)
            {
                return end
            }
        }
        return nil
    }

    /// RFC 9112 §3.2: "A server MUST respond with a 400 ... to any HTTP/1.1 request message that lacks a Host
    /// header field and to any request message that contains more than one Host header field line".
    private static func resolveAuthority(_ bytes: Span<UInt8>, _ head: inout RequestHead)
        throws(ProtocolViolation)
    {
        guard let index = head.block.first(.host) else {
            if head.version == .http11 { throw .hostMissing }
            // An HTTP/1.0 request may name its host in the target alone, and is sent on with that as `Host`.
            let isNamed = head.targetForm == .absolute
            if isNamed && !AuthorityRules.isWellFormed(bytes.extracting(head.authority.offsets)) {
                throw .target
            }
            return
        }
        if head.block.count(of: .host) > 1 { throw .hostRepeated }
        let host = head.block.fields[index].value
        if !AuthorityRules.isWellFormed(bytes.extracting(host.offsets)) { throw .hostMalformed }
        if head.targetForm == .absolute {
            // RFC 9112 §3.2.2 lets the target win. Where the two differ, whoever reads `Host` behind us would
            // see another request than we authorised.
            let (target, field) = (bytes.extracting(head.authority.offsets), bytes.extracting(host.offsets))
            var differs = target.count != field.count
            for position in 0..<(differs ? 0 : target.count)
            where ASCII.lowercased(target[position]) != ASCII.lowercased(field[position]) { differs = true }
            if differs { throw .hostConflict }
        }
        head.authority = host
    }

    /// RFC 9110 §10.1.1: 100-continue is the only expectation; an HTTP/1.0 client's is ignored.
    private static func resolveExpectation(
        _ bytes: Span<UInt8>, _ head: inout RequestHead
    ) throws(ProtocolViolation) {
        guard let index = head.block.first(.expect) else { return }
        let value = head.block.fields[index].value
        guard head.block.count(of: .expect) == 1,
            bytes.extracting(value.offsets).equalsIgnoringCase("100-continue")
        else { throw .expectation }
        // "A server MAY omit sending a 100 response if ... there is no content": nothing will be waited for.
        head.expectsContinue = head.version == .http11 && head.framing != .none && head.framing != .length(0)
        // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
        // expectation", and "a client MUST NOT generate a 100-continue expectation in a request that does not
        // include content": upstreams fall out of step over these, so they are not sent on.
        if !head.expectsContinue { head.block.remove(at: index) }
    }

    private static let methodBytesMax = 32
}

/// RFC 9112 §2.3: `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`, case-sensitive.
enum VersionParser {
    static let byteCount = 8

    /// nil: the bytes are not all there yet.
    static func parse(_ bytes: Span<UInt8>, at start: Int) throws(ProtocolViolation) -> Version? {
        let available = min(7, bytes.count - start)
        for index in 0..<available where bytes[start + index] != name[index] {
            // `HTTP/2.0`: well-formed, and not ours to speak.
            if index == 5 && ASCII.isDigit(bytes[start + 5]) { throw .versionUnsupported }
            guard let fault = LineFault.violation(bytes, at: start + index, otherwise: .version) else {
                return nil
            }
            throw fault
        }
        if start + byteCount > bytes.count { return nil }
        switch bytes[start + 7] {
        case UInt8(ascii: "1"): return .http11
        case UInt8(ascii: "0"): return .http10
        case UInt8(ascii: "2")...UInt8(ascii: "9"): throw .versionUnsupported
        default:
            guard let fault = LineFault.violation(bytes, at: start + 7, otherwise: .version) else {
                return nil
            }
            throw fault
        }
    }

    private static let name: [UInt8] = Array("HTTP/1.".utf8)
}
