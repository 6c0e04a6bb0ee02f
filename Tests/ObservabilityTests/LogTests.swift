// Logs: one well-formed line per entry whatever the network sent, nothing waits without bound, nothing is
// lost before the bound.

import Dispatch
import Foundation
import Primitives
import Synchronization
import Testing

@testable import Observability

/// Collects what a sink writes.
private final class Paper: Sendable {
    let text = Mutex("")
    func write(_ bytes: [UInt8]) { text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } }
    var lines: [String] { text.withLock { $0.split(separator: "\n").map(String.init) } }
}

@Suite("Access log")
struct AccessLogTests {
    @Test("a line is JSON with every member, also when the request is hostile")
    func hostile() throws {
        let paper = Paper()
        let sink = LogSink(label: "test") { paper.write($0) }
        var log = AccessLog(sink: sink, format: .json)
        var entry = AccessEntry()
        entry.client = Array("192.0.2.1".utf8)
        entry.status = 401
        entry.subject = Array("al\"ice\\\n".utf8)
        entry.reason = "token_expired"
        let agent: [UInt8] = [0x22, 0x5C, 0x0A, 0x1B, 0xFF, 0x7F] + Array("}\n{".utf8)
        log.append(
            entry, method: Array("GET".utf8).span, path: Array("/a\"b".utf8).span, userAgent: agent.span,
            now: WallTime(seconds: 1_795_243_366))
        log.flush()
        sink.flush()
        #expect(paper.lines.count == 1)
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(paper.lines[0].utf8)) as? [String: Any])
        #expect(line["http.response.status_code"] as? Int == 401)
        #expect(line["url.path"] as? String == "/a\"b")
        #expect(line["gateway.reason"] as? String == "token_expired")
        #expect(line["user.id"] as? String == "al\"ice\\\n")
        #expect((line["user_agent.original"] as? String)?.unicodeScalars.count == agent.count)
    }

    @Test("the combined format cannot be broken out of")
    func combined() {
        let paper = Paper()
        let sink = LogSink(label: "test") { paper.write($0) }
        var log = AccessLog(sink: sink, format: .combined)
        var entry = AccessEntry()
        entry.client = Array("192.0.2.1".utf8)
        entry.status = 200
        entry.responseBytes = 7
        log.append(
            entry, method: Array("GET".utf8).span, path: Array("/".utf8).span,
            userAgent: Array("x\" 200 1 \"\r\n192.0.2.9".utf8).span, now: WallTime(seconds: 0))
        log.flush()
        sink.flush()
        #expect(
            paper.lines == [
                "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"GET / HTTP/1.1\" 200 7 \"-\" "
                    + "\"x\\u0022 200 1 \\u0022\\u000d\\u000a192.0.2.9\""
            ])
    }
}

@Suite("Log sink")
struct LogSinkTests {
    @Test("when the writer stands still, lines are dropped and counted, and nobody waits")
    func bounded() {
        let gate = DispatchSemaphore(value: 0)
        let started = DispatchSemaphore(value: 0)
        let paper = Paper()
        let sink = LogSink(label: "test", bytesMax: 100) { bytes in
            started.signal()
            gate.wait()
            paper.write(bytes)
        }
        sink.append(Array("first\n".utf8))
        started.wait()
        for _ in 0..<10 { sink.append(Array("0123456789012345678\n".utf8)) }
        #expect(sink.droppedLines == 5)
        gate.signal()
        gate.signal()
        sink.flush()
        #expect(paper.lines.count == 6)
    }

    @Test("a message of the service log stays on its line")
    func oneLine() {
        let paper = Paper()
        let sink = LogSink(label: "test") { paper.write($0) }
        let log = ServiceLog(sink: sink, level: .info, clock: { WallTime(seconds: 0) })
        log.info("a\nb\u{1B}[31m")
        log.debug("quiet")
        log.flush()
        #expect(paper.lines == ["1970-01-01T00:00:00.000Z info a?b?[31m"])
    }
}
