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

    package init() {}
}

/// The access log of one shard. Owned by: that shard.
package struct AccessLog: ~Copyable {
    /// How lines are written.
    package enum Format: Sendable { case json, combined }

    private let sink: LogSink?
    private let format: Format
    private var lines = ByteBuffer()
    private var stampedAt = WallTime(milliseconds: .min)
    private var stamp: [UInt8] = []

    /// - Parameter sink: nil writes nothing.
    package init(sink: LogSink?, format: Format) {
        self.sink = sink
        self.format = format
    }

    /// Whether lines are written at all.
    package var isOn: Bool { sink != nil }

    /// Adds a line. The spans are bytes of the request; empty where the request was too broken to say.
    package mutating func append(
        _ entry: AccessEntry, method: Span<UInt8>, path: Span<UInt8>, userAgent: Span<UInt8>, now: WallTime
    ) {
        if sink == nil { return }
        renewStamp(now)
        switch format {
        case .json: appendJSON(entry, method, path, userAgent)
        case .combined: appendCombined(entry, method, path, userAgent)
        }
        if lines.count >= Self.batchBytes { flush() }
    }

    /// Hands what has gathered to the sink.
    package mutating func flush() {
        if lines.isEmpty { return }
        sink?.append(lines.withReadable { [UInt8](copying: $0) })
        lines.removeAll()
    }

    private mutating func appendJSON(
        _ entry: AccessEntry, _ method: Span<UInt8>, _ path: Span<UInt8>, _ userAgent: Span<UInt8>
    ) {
        lines.append("{\"@timestamp\":\"")
        lines.append(stamp)
        lines.append("\",\"source.ip\":\"")
        lines.append(entry.client)
        lines.append("\",\"http.request.method\":\"")
        lines.appendEscaped(method)
        lines.append("\",\"url.path\":\"")
        lines.appendEscaped(path)
        lines.append("\",\"http.response.status_code\":")
        lines.append(decimal: UInt64(entry.status))
        lines.append(",\"http.response.body.bytes\":")
        lines.append(decimal: entry.responseBytes)
        lines.append(",\"event.duration\":")
        lines.append(decimal: UInt64(max(0, entry.durationMicroseconds)) * 1000)
        appendMember(",\"http.request.id\":\"", entry.requestID.span)
        appendMember(",\"gateway.route\":\"", entry.route.span)
        appendMember(",\"gateway.upstream\":\"", entry.upstream.span)
        appendMember(",\"gateway.server\":\"", entry.server.span)
        appendMember(",\"user.id\":\"", entry.subject.span)
        appendMember(",\"session.id\":\"", entry.session.span)
        appendMember(",\"gateway.reason\":\"", entry.reason.utf8.span)
        appendMember(",\"gateway.observed\":\"", entry.observed.utf8.span)
        appendMember(",\"user_agent.original\":\"", userAgent)
        lines.append("}\n")
    }

    private mutating func appendMember(_ opening: StaticString, _ value: Span<UInt8>) {
        if value.isEmpty { return }
        lines.append(opening)
        lines.appendEscaped(value)
        lines.append("\"")
    }

    /// `client - subject [time] "METHOD /path HTTP/1.1" status bytes "-" "agent"`
    private mutating func appendCombined(
        _ entry: AccessEntry, _ method: Span<UInt8>, _ path: Span<UInt8>, _ userAgent: Span<UInt8>
    ) {
        lines.append(entry.client)
        lines.append(" - ")
        if entry.subject.isEmpty { lines.append("-") } else { lines.appendEscaped(entry.subject.span) }
        lines.append(" [")
        lines.append(stamp)
        lines.append("] \"")
        lines.appendEscaped(method)
        lines.append(" ")
        lines.appendEscaped(path)
        lines.append(" HTTP/1.1\" ")
        lines.append(decimal: UInt64(entry.status))
        lines.append(" ")
        lines.append(decimal: entry.responseBytes)
        lines.append(" \"-\" \"")
        lines.appendEscaped(userAgent)
        lines.append("\"\n")
    }

    private mutating func renewStamp(_ now: WallTime) {
        if now == stampedAt { return }
        stampedAt = now
        let time = CivilTime(now)
        stamp = Array((format == .json ? time.rfc3339 : time.commonLog).utf8)
    }

    private static let batchBytes = 32 * 1024
}

extension ByteBuffer {
    /// Appends bytes as the inside of a JSON string. Bytes that are not ASCII are written as code points of
    /// Latin-1: always valid JSON, and what HTTP once said they are.
    fileprivate mutating func appendEscaped(_ bytes: Span<UInt8>) {
        var runStart = 0
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
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
