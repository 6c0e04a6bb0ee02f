// The access log: every field under its documented name, one well-formed line per entry whatever the network
// sent.

import Foundation
import Primitives
import Testing

@testable import Observability

@Suite("Access log")
struct AccessLogTests {
    /// The bytes of a head, and where in them stands what is logged.
    private struct Head {
        var bytes: [UInt8] = []
        var ranges = AccessRanges()

        init(
            method: String = "", path: String = "", host: String = "", trace: String = "", agent: [UInt8] = []
        ) {
            ranges.method = add(Array(method.utf8))
            ranges.path = add(Array(path.utf8))
            ranges.host = add(Array(host.utf8))
            ranges.trace = add(Array(trace.utf8))
            ranges.userAgent = add(agent)
        }

        private mutating func add(_ part: [UInt8]) -> ByteRange {
            bytes += part
            return ByteRange(bytes.count - part.count, bytes.count)
        }
    }

    private func line(
        _ format: AccessLog.Format, _ entry: AccessEntry, _ head: Head, at seconds: Int64 = 0
    ) -> String {
        let paper = Paper()
        let sink = LogSink(label: "test", writer: paper.writer())
        var log = AccessLog(LogOutlet(LogLoss(name: "access"), to: sink, .plain), format: format)
        log.append(entry, head.ranges, of: head.bytes.span, now: WallTime(seconds: seconds))
        log.flush()
        sink.flush()
        #expect(paper.lines.count == 1)
        return paper.lines.first ?? ""
    }

    private func members(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test("a line is JSON with every member, also when the request is hostile")
    func hostile() throws {
        var entry = AccessEntry()
        entry.client = Array("192.0.2.1".utf8)
        entry.status = 401
        entry.subject = Array("al\"ice\\\n".utf8)
        entry.reason = "token_expired"
        let agent: [UInt8] = [0x22, 0x5C, 0x0A, 0x1B, 0xFF, 0x7F] + Array("}\n{".utf8)
        let line = try members(line(.json, entry, Head(method: "GET", path: "/a\"b", agent: agent)))
        #expect(line["http.response.status_code"] as? Int == 401)
        #expect(line["url.path"] as? String == "/a\"b")
        #expect(line["gateway.reason"] as? String == "token_expired")
        #expect(line["user.id"] as? String == "al\"ice\\\n")
        #expect((line["user_agent.original"] as? String)?.unicodeScalars.count == agent.count)
    }

    @Test("the fields are those of ARCHITECTURE.md; what an exchange has not come to is left out")
    func fields() throws {
        var entry = AccessEntry()
        (entry.client, entry.status, entry.version) = (Array("192.0.2.1".utf8), 502, .http10)
        (entry.tls, entry.requestBytes, entry.responseBytes) = (.tls13, 5, 7)
        (entry.durationMicroseconds, entry.upstreamMicroseconds, entry.upstreamStatus) = (9, 8, 500)
        for path in [
            \AccessEntry.requestID, \.route, \.upstream, \.server, \.subject, \.session,
        ] {
            entry[keyPath: path] = Array("x".utf8)
        }
        (entry.reason, entry.observed) = ("reason", "observed")
        let head = Head(
            method: "GET", path: "/", host: "a.example", trace: "0af7", agent: Array("curl".utf8))
        let whole = try members(line(.json, entry, head))
        let documented = try Self.documentedFields()
        #expect(Set(whole.keys) == documented)
        #expect(whole["http.version"] as? String == "1.0")
        #expect(whole["tls.version"] as? String == "1.3")
        #expect(whole["gateway.upstream_duration"] as? Int == 8000)
        #expect(whole["http.request.body.bytes"] as? Int == 5)
        let least = try members(line(.json, AccessEntry(), Head()))
        #expect(
            Set(least.keys) == [
                "@timestamp", "source.ip", "http.request.method", "url.path", "http.version",
                "http.response.status_code", "http.response.body.bytes", "event.duration",
            ])
    }

    /// The first column of the table in the section on the access log.
    private static func documentedFields() throws -> Set<String> {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "ARCHITECTURE.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let section = try #require(text.components(separatedBy: "## The access log\n").last)
        let rows = (section.components(separatedBy: "\n## ").first ?? "").split(separator: "\n")
            .filter { $0.hasPrefix("| `") }
        let names = rows.flatMap { row in
            row.split(separator: "|")[0].split(separator: ",")
                .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
        }
        return Set(names)
    }

    @Test("the combined format cannot be broken out of")
    func combined() {
        var entry = AccessEntry()
        (entry.client, entry.status, entry.responseBytes) = (Array("192.0.2.1".utf8), 200, 7)
        entry.subject = Array("al ice".utf8)
        let head = Head(method: "GET", path: "/", agent: Array("x\" 200 1 \"\r\n192.0.2.9".utf8))
        #expect(
            line(.combined, entry, head)
                == "192.0.2.1 - al\\u0020ice [01/Jan/1970:00:00:00 +0000] \"GET / HTTP/1.1\" 200 7 \"-\" "
                + "\"x\\u0022 200 1 \\u0022\\u000d\\u000a192.0.2.9\"")
    }

    @Test("a request that could not be read is a line of the combined format as well")
    func combinedBroken() {
        var entry = AccessEntry()
        (entry.client, entry.status) = (Array("192.0.2.1".utf8), 400)
        #expect(
            line(.combined, entry, Head())
                == "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"")
    }

    @Test("what a request says has room for 4096 bytes, and not one more")
    func long() throws {
        for count in [4096, 4097] {
            let head = Head(agent: [UInt8](repeating: UInt8(ascii: "a"), count: count))
            let line = try members(line(.json, AccessEntry(), head))
            #expect((line["user_agent.original"] as? String)?.count == 4096)
        }
    }

    @Test("at a change, what has gathered goes where it was to go, in the form it had")
    func change() {
        let (old, new) = (Paper(), Paper())
        let sinks = [old, new].map { LogSink(label: "test", writer: $0.writer()) }
        let outlets = sinks.map { LogOutlet(LogLoss(name: "access"), to: $0, .plain) }
        var log = AccessLog(outlets[0], format: .json)
        let head = Head(method: "GET", path: "/")
        log.append(AccessEntry(), head.ranges, of: head.bytes.span, now: WallTime(seconds: 0))
        log.change(to: outlets[1], format: .combined)
        log.append(AccessEntry(), head.ranges, of: head.bytes.span, now: WallTime(seconds: 0))
        log.change(to: nil, format: .json)
        let isOn = log.isOn
        #expect(!isOn)
        for sink in sinks { sink.flush() }
        #expect(old.lines.count == 1 && old.lines[0].hasPrefix("{\"@timestamp\":\"1970-01-01T"))
        #expect(new.lines == [" - - [01/Jan/1970:00:00:00 +0000] \"GET / HTTP/1.1\" 0 0 \"-\" \"-\""])
    }
}
