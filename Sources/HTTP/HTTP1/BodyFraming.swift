// Where a body ends: RFC 9112 §6, the page on which request smuggling is decided.
//
// The gateway forwards a message only with framing that it has written itself, from a length it has
// understood. What two readers could understand differently is refused, also where the RFC would allow a
// guess.

import Primitives

/// The framing rules for both directions.
enum FramingRules {
    /// RFC 9112 §6.3 for requests: no length and no coding means no body.
    static func request(_ bytes: Span<UInt8>, _ head: borrowing RequestHead) throws(ProtocolViolation)
        -> BodyFraming
    {
        let coding = try transferCoding(bytes, head.block)
        let length = try contentLength(bytes, head.block, allowsLeadingZero: false)
        if coding {
            // §6.3 rule 3: "If a message is received with both a Transfer-Encoding and a Content-Length
            // header field ... ought to be handled as an error".
            if length != nil { throw .lengthAndCoding }
            // §6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
            // header field MUST treat the message as if the framing is faulty".
            if head.version == .http10 { throw .codingInHTTP10 }
            return .chunked
        }
        guard let length else { return .none }
        return .length(length)
    }

    /// RFC 9112 §6.3 for responses. `isHead`: the request's method was HEAD.
    static func response(
        _ bytes: Span<UInt8>, _ head: borrowing ResponseHead, isHead: Bool
    ) throws(ProtocolViolation) -> BodyFraming {
        let coding = try transferCoding(bytes, head.block)
        let length = try contentLength(bytes, head.block, allowsLeadingZero: true)
        if coding && length != nil { throw .lengthAndCoding }
        if coding && head.version == .http10 { throw .codingInHTTP10 }
        // §6.3 rule 1: these end with the head, whatever their fields say.
        if isHead || head.status < 200 || head.status == 204 || head.status == 304 { return .none }
        if coding { return .chunked }
        guard let length else { return .untilClose }
        return .length(length)
    }

    /// Whether the message is chunked. Exactly one field line with the one coding that every recipient knows;
    /// a list (`gzip, chunked`), a repetition or an unknown word is refused (§6.1, §7).
    private static func transferCoding(
        _ bytes: Span<UInt8>, _ block: borrowing HeaderBlock
    ) throws(ProtocolViolation) -> Bool {
        guard let index = block.first(.transferEncoding) else { return false }
        let value = block.fields[index].value
        guard block.count(of: .transferEncoding) == 1,
            bytes.extracting(value.offsets).equalsIgnoringCase("chunked")
        else { throw .transferCoding }
        return true
    }

    /// §6.2: `Content-Length = 1*DIGIT`. A list of equal numbers, which §6.3 rule 5 would let pass, is
    /// refused too.
    ///
    /// - Parameter allowsLeadingZero: `010` is ten by the grammar, and eight to an upstream that lets its
    ///   library guess the base. No client writes it; servers pad a length that they fill in last.
    private static func contentLength(
        _ bytes: Span<UInt8>, _ block: borrowing HeaderBlock, allowsLeadingZero: Bool
    ) throws(ProtocolViolation) -> UInt64? {
        guard let index = block.first(.contentLength) else { return nil }
        if block.count(of: .contentLength) > 1 { throw .contentLengthRepeated }
        let range = block.fields[index].value
        // 18 digits cannot overflow, and no body is that long.
        if range.isEmpty || range.count > 18 { throw .contentLengthMalformed }
        if !allowsLeadingZero && range.count > 1 && bytes[range.start] == UInt8(ascii: "0") {
            throw .contentLengthMalformed
        }
        var length: UInt64 = 0
        for position in range.offsets {
            let digit = bytes[position] &- 48
            if digit > 9 { throw .contentLengthMalformed }
            length = length * 10 + UInt64(digit)
        }
        return length
    }
}

/// Whether a connection lives on (RFC 9112 §9.3), and which fields `Connection` names.
package enum Persistence {
    static func isPersistent(version: Version, block: borrowing HeaderBlock, bytes: Span<UInt8>) -> Bool {
        var closes = false
        var keepsAlive = false
        if block.first(.connection) != nil {
            forEachOption(block, bytes) { option in
                if option.equalsIgnoringCase("close") { closes = true }
                if option.equalsIgnoringCase("keep-alive") { keepsAlive = true }
            }
        }
        if closes { return false }
        return version == .http11 || keepsAlive
    }

    /// RFC 9110 §7.8: whether a head offers, or agrees to, the one protocol that the gateway tunnels. A list
    /// of protocols, or another one (`h2c`, which would open a way round every check), is no offer: "A server
    /// MAY ignore a received Upgrade header field".
    static func namesWebSocket(_ block: borrowing HeaderBlock, _ bytes: Span<UInt8>) -> Bool {
        guard let index = block.first(.upgrade), block.count(of: .upgrade) == 1 else { return false }
        let protocolName = block.fields[index].value
        if !bytes.extracting(protocolName.offsets).equalsIgnoringCase("websocket") { return false }
        var isNamed = false
        forEachOption(block, bytes) { option in
            if option.equalsIgnoringCase("upgrade") { isNamed = true }
        }
        return isNamed
    }

    /// RFC 9110 §7.6.1: an intermediary removes the fields that `Connection` names, and `Connection` itself;
    /// and the ones it knows to be for one hop only. What carries identity or routing is never removed on a
    /// peer's word (CVE-2022-31813): ours are added after this, and these few are kept.
    package static func removeHopByHop(_ block: inout HeaderBlock) {
        block.remove(.hopByHop)
        let named = fieldsNamed(by: block)
        for name in named where !neverRemoved.contains(name) {
            for index in block.fields.indices where block.fields[index].name.count == name.count {
                let range = block.fields[index].name
                if block.withBytes({
                    ASCII.equalsIgnoringCase($0.extracting(range.offsets), lowercase: name.span)
                }) {
                    block.remove(at: index)
                }
            }
        }
    }

    /// The names in every Connection field, in lower case. Of trailer fields too, RFC 9110 §7.6.1 says:
    /// "remove any header or trailer field(s) from the message with the same name".
    package static func fieldsNamed(by block: borrowing HeaderBlock) -> [[UInt8]] {
        if block.count(of: .connection) == 0 { return [] }
        var named: [[UInt8]] = []
        block.withBytes { bytes in
            forEachOption(block, bytes) { option in
                // Almost every Connection field says one of these, and names no field.
                if option.equalsIgnoringCase("close")
                    || option.equalsIgnoringCase("keep-alive")
                {
                    return
                }
                named.append([UInt8](copying: option).map(ASCII.lowercased))
            }
        }
        return named
    }

    private static let neverRemoved: Set<[UInt8]> = Set(
        [
            "host", "content-length", "authorization", "cookie", "set-cookie", "cache-control", "origin",
            "session-start", "session-claims", "session-label", "session-end",
        ].map { Array($0.utf8) })

    /// The comma-separated members of every Connection field.
    private static func forEachOption(
        _ block: borrowing HeaderBlock, _ bytes: Span<UInt8>, _ body: (Span<UInt8>) -> Void
    ) {
        for field in block.fields where field.known == .connection {
            var start = field.value.start
            while start < field.value.end {
                var end = start
                while end < field.value.end && bytes[end] != UInt8(ascii: ",") { end += 1 }
                var (lower, upper) = (start, end)
                while lower < upper, bytes[lower] == 0x20 || bytes[lower] == 0x09 { lower += 1 }
                while upper > lower, bytes[upper - 1] == 0x20 || bytes[upper - 1] == 0x09 { upper -= 1 }
                if lower < upper { body(bytes.extracting(lower..<upper)) }
                start = end + 1
            }
        }
    }
}
