// The line that the access log gets of an exchange, put together when the exchange has ended. What of a
// request could be a secret is cut out: its query and its fields are not shown at all, and what is shown ends
// where a token begins.

import HTTP
import JOSE
import Network
import Observability
import Primitives
import Sessions
import TLS

extension DownstreamConnection {
    /// Takes note of the final answer of an upstream.
    func noteAnswer(status: Int) {
        exchange.upstreamStatus = status
        exchange.answeredMicroseconds = shard.loop.microseconds
        countUpstreamAnswer()
    }

    func logExchange(microseconds: Int64) {
        if !shard.logsAccess || isQuiet { return }
        var entry = AccessEntry()
        entry.client = clientText
        entry.requestID = exchange.requestID.bytes(head.block)
        entry.status = exchange.status
        entry.version = head.version == .http10 ? .http10 : .http11
        entry.tls = transport.tls.map { $0.isVersion13 ? .tls13 : .tls12 }
        entry.requestBytes = exchange.requestBytes
        entry.responseBytes = exchange.responseBytes
        entry.durationMicroseconds = microseconds
        entry.reason = exchange.reason
        entry.observed = exchange.observed
        if let route = exchange.route {
            entry.route = route.label
        }
        if let pool = exchange.pool { entry.upstream = pool.target.label }
        if let server = exchange.server { entry.server = server.label }
        if exchange.upstreamStatus != 0 {
            entry.upstreamStatus = exchange.upstreamStatus
            entry.upstreamMicroseconds = exchange.answeredMicroseconds - exchange.sentMicroseconds
        }
        if let token = exchange.token {
            entry.subject = token.subjectBytes
            entry.session = token.sessionText
        }
        if let session = exchange.loggedSession { (entry.subject, entry.session) = session }
        shard.log(entry, head)
    }

    /// What monitors ask every few seconds is logged only when the answer is not the usual one.
    private var isQuiet: Bool {
        if !role.isControl || exchange.status >= 400 { return false }
        return head.block.withBytes { bytes in
            let path = bytes.extracting(head.path.offsets)
            return path.equals("/healthz") || path.equals("/livez") || path.equals("/readyz")
                || path.equals("/metrics")
        }
    }
}

/// What of a request's head the access log shows.
enum LoggedHead {
    static func ranges(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> AccessRanges {
        var ranges = AccessRanges()
        ranges.method = withoutToken(head.methodRange, bytes)
        ranges.path = withoutToken(head.path, bytes)
        ranges.host = withoutToken(head.authority, bytes)
        if let agent = head.block.first(.userAgent) {
            ranges.userAgent = withoutToken(head.block.fields[agent].value, bytes)
        }
        ranges.trace = traceID(of: head, bytes)
        return ranges
    }

    /// A part of a head up to the token in it, refresh or access, ours or not.
    static func withoutToken(_ range: ByteRange, _ bytes: Span<UInt8>) -> ByteRange {
        let cut = MisplacedToken.cut(range, in: bytes)
        let shown = bytes.extracting(cut.offsets)
        var start = 0
        while true {
            // RFC 7515 §3.1: the header of a token is JSON, and begins with `{"` in base64url.
            start = shown.firstOffset(
                of: UInt8(ascii: "e"), UInt8(ascii: "y"), UInt8(ascii: "J"), from: start)
            if start == shown.count { return cut }
            var end = start
            while end < shown.count, isBase64URL(shown[end]) { end += 1 }
            if end - start >= tokenBytesMin { return ByteRange(cut.start, cut.start + start) }
            start = end
        }
    }

    private static func isBase64URL(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// W3C Trace Context §3.2.2: `00-` and 32 digits in lower case, of which not all are 0.
    private static func traceID(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> ByteRange {
        for field in head.block.fields
        where field.name.count == 11 && !field.value.isEmpty
            && bytes.extracting(field.name.offsets).equalsIgnoringCase("traceparent")
        {
            let value = bytes.extracting(field.value.offsets)
            guard value.count >= 55, value[2] == UInt8(ascii: "-"), value[35] == UInt8(ascii: "-") else {
                return .empty
            }
            var isZero = true
            for index in 3..<35 {
                switch value[index] {
                case UInt8(ascii: "0"): continue
                case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"):
                    isZero = false
                default: return .empty
                }
            }
            return isZero ? .empty : ByteRange(field.value.start + 3, field.value.start + 35)
        }
        return .empty
    }

    /// The header of the shortest token, `{"alg":"none"}`, has 19.
    private static let tokenBytesMin = 16
}
