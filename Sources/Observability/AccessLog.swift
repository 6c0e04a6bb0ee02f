// One line per exchange, as JSON with the field names of the Elastic Common Schema, or in the combined
// format.
//
// Lines gather in a buffer of the shard and go to the sink when a turn ends or enough have gathered: a line
// costs a few copies and no system call. What came from the network is escaped (log injection:
// CVE-2024-45808), and nothing that could be a secret is here: no query, no Authorization, no cookie.

package import Primitives

/// What is known of an exchange when it is over.
package struct AccessEntry: Sendable {
    package var client: [UInt8] = []
    /// What all that handle the request call it.
    package var requestID: [UInt8] = []
    package var status = 0
    /// Bytes of the response body that were handed to the client's connection.
    package var responseBytes: UInt64 = 0
    package var durationMicroseconds: Int64 = 0
    package var version = Version.http11
    /// What the client's connection speaks; nil for plain HTTP.
    package var tls: TLSVersion?
    /// Bytes of the request's body that were taken from the client.
    package var requestBytes: UInt64 = 0
    /// The status of the upstream's answer; 0 when none came.
    package var upstreamStatus = 0
    /// From the moment a server got the request until the head of its answer had come; 0 when none came.
    package var upstreamMicroseconds: Int64 = 0
    /// The pattern of the route; empty when none was chosen.
    package var route: [UInt8] = []
    /// The upstream's name; empty when none was asked.
    package var upstream: [UInt8] = []
    /// The address of the upstream's server that got the request; empty when none did.
    package var server: [UInt8] = []
    package var subject: [UInt8] = []
    package var session: [UInt8] = []
    /// A log word when the gateway itself refused or failed; empty otherwise.
    package var reason = ""
    /// What an observed route would have refused the request for; empty otherwise.
    package var observed = ""

    package enum Version: Sendable { case http10, http11 }
    package enum TLSVersion: Sendable { case tls12, tls13 }

    package init() {}
}

/// Where in the head of a request stands what is logged of it; empty where it was too broken to say.
package struct AccessRanges: Sendable {
    package var method = ByteRange.empty
    package var path = ByteRange.empty
    package var host = ByteRange.empty
    /// The trace id of a `traceparent`.
    package var trace = ByteRange.empty
    package var userAgent = ByteRange.empty

    package init() {}
}

/// The access log of one shard. Owned by: that shard.
package struct AccessLog: ~Copyable {
    /// How lines are written.
    package enum Format: Sendable { case json, combined }

    private var outlet: LogOutlet?
    private var format: Format
    private var lines = ByteBuffer()
    private var stampedAt = WallTime(milliseconds: .min)
    private var stamp: [UInt8] = []
    /// What stands in front of each line.
    private var opening: [UInt8] = []

    /// - Parameter outlet: nil writes nothing.
    package init(_ outlet: LogOutlet?, format: Format) {
        self.outlet = outlet
        self.format = format
    }

    /// Has lines from now on go elsewhere; those that have gathered go where they were to go.
    package mutating func change(to outlet: LogOutlet?, format: Format) {
        flush()
        self.outlet = outlet
        self.format = format
        stampedAt = WallTime(milliseconds: .min)
    }

    /// Whether lines are written at all.
    package var isOn: Bool { outlet != nil }

    /// Adds a line.
    ///
    /// - Parameter head: the bytes that the ranges point into.
    package mutating func append(
        _ entry: AccessEntry, _ ranges: AccessRanges, of head: Span<UInt8>, now: WallTime
    ) {
        guard let outlet else { return }
        if now != stampedAt { renewStamp(now, outlet) }
        lines.append(opening)
        switch format {
        case .json: appendJSON(entry, ranges, head)
        case .combined: appendCombined(entry, ranges, head)
        }
        if lines.count >= Self.batchBytes { flush() }
    }

    /// Hands what has gathered to the sink.
    package mutating func flush() {
        if lines.isEmpty { return }
        outlet?.append(lines.withReadable { [UInt8](copying: $0) })
        lines.removeAll()
    }

    private mutating func appendJSON(_ entry: AccessEntry, _ ranges: AccessRanges, _ head: Span<UInt8>) {
        lines.append("{\"@timestamp\":\"")
        lines.append(stamp)
        lines.append("\",\"source.ip\":\"")
        lines.append(entry.client)
        lines.append("\",\"http.request.method\":\"")
        lines.appendEscaped(head, ranges.method)
        lines.append("\",\"url.path\":\"")
        lines.appendEscaped(head, ranges.path)
        lines.append(entry.version == .http10 ? "\",\"http.version\":\"1.0" : "\",\"http.version\":\"1.1")
        lines.append("\",\"http.response.status_code\":")
        lines.append(decimal: UInt64(entry.status))
        appendNumber(",\"http.request.body.bytes\":", entry.requestBytes)
        lines.append(",\"http.response.body.bytes\":")
        lines.append(decimal: entry.responseBytes)
        lines.append(",\"event.duration\":")
        lines.append(decimal: UInt64(max(0, entry.durationMicroseconds)) * 1000)
        appendMember(",\"url.domain\":\"", ranges.host, head)
        if let tls = entry.tls {
            lines.append(tls == .tls13 ? ",\"tls.version\":\"1.3\"" : ",\"tls.version\":\"1.2\"")
        }
        appendMember(",\"http.request.id\":\"", entry.requestID.span)
        appendMember(",\"trace.id\":\"", ranges.trace, head)
        appendMember(",\"gateway.route\":\"", entry.route.span)
        appendMember(",\"gateway.upstream\":\"", entry.upstream.span)
        appendMember(",\"gateway.server\":\"", entry.server.span)
        appendNumber(",\"gateway.upstream_status\":", UInt64(entry.upstreamStatus))
        appendNumber(",\"gateway.upstream_duration\":", UInt64(max(0, entry.upstreamMicroseconds)) * 1000)
        appendMember(",\"user.id\":\"", entry.subject.span)
        appendMember(",\"session.id\":\"", entry.session.span)
        appendMember(",\"gateway.reason\":\"", entry.reason.utf8.span)
        appendMember(",\"gateway.observed\":\"", entry.observed.utf8.span)
        appendMember(",\"user_agent.original\":\"", ranges.userAgent, head)
        lines.append("}\n")
    }

    private mutating func appendMember(_ opening: StaticString, _ value: Span<UInt8>) {
        if value.isEmpty { return }
        lines.append(opening)
        lines.appendEscaped(value)
        lines.append("\"")
    }

    private mutating func appendMember(_ opening: StaticString, _ range: ByteRange, _ head: Span<UInt8>) {
        if range.isEmpty { return }
        lines.append(opening)
        lines.appendEscaped(head, range)
        lines.append("\"")
    }

    private mutating func appendNumber(_ opening: StaticString, _ value: UInt64) {
        if value == 0 { return }
        lines.append(opening)
        lines.append(decimal: value)
    }

    /// `client - subject [time] "METHOD /path HTTP/1.1" status bytes "-" "agent"`
    private mutating func appendCombined(
        _ entry: AccessEntry, _ ranges: AccessRanges, _ head: Span<UInt8>
    ) {
        lines.append(entry.client)
        lines.append(" - ")
        if entry.subject.isEmpty {
            lines.append("-")
        } else {
            // A space would end the field for whoever reads it.
            lines.appendEscaped(entry.subject.span, escapesSpace: true)
        }
        lines.append(" [")
        lines.append(stamp)
        lines.append("] \"")
        if ranges.method.isEmpty {
            lines.append("-")
        } else {
            lines.appendEscaped(head, ranges.method)
            lines.append(" ")
            if ranges.path.isEmpty { lines.append("*") }
            lines.appendEscaped(head, ranges.path)
            lines.append(entry.version == .http10 ? " HTTP/1.0" : " HTTP/1.1")
        }
        lines.append("\" ")
        lines.append(decimal: UInt64(entry.status))
        lines.append(" ")
        lines.append(decimal: entry.responseBytes)
        lines.append(" \"-\" \"")
        if ranges.userAgent.isEmpty { lines.append("-") }
        lines.appendEscaped(head, ranges.userAgent)
        lines.append("\"\n")
    }

    private mutating func renewStamp(_ now: WallTime, _ outlet: LogOutlet) {
        stampedAt = now
        let time = CivilTime(now)
        stamp = Array((format == .json ? time.rfc3339 : time.commonLog).utf8)
        opening = outlet.opening(.info, now)
    }

    private static let batchBytes = 32 * 1024
}

extension ByteBuffer {
    /// Appends what a request says, as far as a log has room for it: an escaped byte takes six.
    fileprivate mutating func appendEscaped(_ head: Span<UInt8>, _ range: ByteRange) {
        let end = min(range.end, range.start + Self.loggedBytesMax)
        appendEscaped(head.extracting(range.start..<end))
    }

    private static let loggedBytesMax = 4 * 1024

    /// Appends bytes as the inside of a JSON string. Bytes that are not ASCII are written as code points of
    /// Latin-1: always valid JSON, and what HTTP once said they are.
    fileprivate mutating func appendEscaped(_ bytes: Span<UInt8>, escapesSpace: Bool = false) {
        let first: UInt8 = escapesSpace ? 0x21 : 0x20
        var runStart = 0
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte >= first && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
                continue
            }
            append(bytes.extracting(runStart..<index))
            append("\\u00")
            append(byte: ASCII.hexadecimalDigit(byte >> 4))
            append(byte: ASCII.hexadecimalDigit(byte & 15))
            runStart = index + 1
        }
        append(bytes.extracting(runStart..<bytes.count))
    }
}
