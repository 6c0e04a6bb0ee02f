// Request and response heads as ranges, and the small closed sets they are made of: method, version.

package import Primitives

/// The methods that the gateway treats by name (RFC 9110 §9, RFC 5789).
package enum Method: UInt8, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch, other

    /// RFC 9110 §9.2.1: a request that asks for no change of state.
    package var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        default: false
        }
    }

    /// RFC 9110 §9.2.2: sending it twice has the effect of sending it once.
    package var isIdempotent: Bool { isSafe || self == .put || self == .delete }

    /// The method of a token. RFC 9110 §9.1: "The method token is case-sensitive".
    init(_ token: Span<UInt8>) {
        func reads(_ name: StaticString) -> Bool { token.equals(name) }
        switch (token.count, token[0]) {
        case (3, UInt8(ascii: "G")): self = reads("GET") ? .get : .other
        case (3, _): self = reads("PUT") ? .put : .other
        case (4, UInt8(ascii: "P")): self = reads("POST") ? .post : .other
        case (4, _): self = reads("HEAD") ? .head : .other
        case (5, UInt8(ascii: "P")): self = reads("PATCH") ? .patch : .other
        case (5, _): self = reads("TRACE") ? .trace : .other
        case (6, _): self = reads("DELETE") ? .delete : .other
        case (7, UInt8(ascii: "O")): self = reads("OPTIONS") ? .options : .other
        case (7, _): self = reads("CONNECT") ? .connect : .other
        default: self = .other
        }
    }
}

/// The versions of HTTP/1.
package enum Version: UInt8, Sendable {
    case http10, http11
}

/// RFC 9112 §3.2: the forms of a request target.
package enum TargetForm: UInt8, Sendable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`
    case absolute
    /// `*`, for OPTIONS
    case asterisk
}

/// How the end of a message's body is told (RFC 9112 §6.3).
package enum BodyFraming: Sendable, Equatable {
    case none
    case length(UInt64)
    case chunked
    /// Responses only: the body ends when the connection does.
    case untilClose
}

/// A parsed request head. Reused for every request of a connection.
public struct RequestHead: ~Copyable {
    /// The field lines and the bytes that all ranges point into.
    public var block = HeaderBlock()
    package internal(set) var method = Method.get
    package internal(set) var version = Version.http11
    package internal(set) var targetForm = TargetForm.origin
    package internal(set) var framing = BodyFraming.none
    package internal(set) var methodRange = ByteRange.empty
    /// The target as it was sent.
    package internal(set) var target = ByteRange.empty
    /// Path of the target, without query; empty in asterisk form.
    package internal(set) var path = ByteRange.empty
    /// The query with its `?`; empty when there is none.
    package internal(set) var query = ByteRange.empty
    /// The authority that the request is for: of the absolute form, else of `Host`; empty when neither says
    /// one.
    package internal(set) var authority = ByteRange.empty
    /// Whether the client wants to use the connection again (RFC 9112 §9.3).
    package internal(set) var isPersistent = true
    package internal(set) var expectsContinue = false
    /// RFC 6455 §4.1: the request asks to go on as a WebSocket.
    package internal(set) var asksForWebSocket = false

    /// An empty head.
    public init() {}

    /// Forgets the request; the memory stays for the next one.
    package mutating func reset() {
        block.reset()
        method = .get
        version = .http11
        targetForm = .origin
        framing = .none
        methodRange = .empty
        target = .empty
        path = .empty
        query = .empty
        authority = .empty
        isPersistent = true
        expectsContinue = false
        asksForWebSocket = false
    }
}

/// A parsed response head. Reused for every response of a connection.
public struct ResponseHead: ~Copyable {
    /// The field lines and the bytes that all ranges point into.
    public var block = HeaderBlock()
    package internal(set) var status = 0
    package internal(set) var version = Version.http11
    package internal(set) var framing = BodyFraming.none
    package internal(set) var reason = ByteRange.empty
    /// Whether the upstream's connection can be used again (RFC 9112 §9.3).
    package internal(set) var isPersistent = true

    /// An empty head.
    public init() {}

    /// RFC 9110 §15.2: an interim response; another head follows. Not 101: behind it HTTP has ended.
    package var isInterim: Bool { status < 200 && status != 101 }

    /// Whether the body is a stream of server-sent events.
    package var isEventStream: Bool {
        guard let index = block.first(.contentType) else { return false }
        let value = block.fields[index].value
        return block.withBytes { bytes in
            var end = value.start
            while end < value.end, bytes[end] != UInt8(ascii: ";"), bytes[end] != 0x20 { end += 1 }
            return bytes.extracting(value.start..<end).equalsIgnoringCase("text/event-stream")
        }
    }

    /// Forgets the response; the memory stays for the next one.
    package mutating func reset() {
        block.reset()
        status = 0
        version = .http11
        framing = .none
        reason = .empty
        isPersistent = true
    }
}
