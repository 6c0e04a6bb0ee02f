// Logs: nothing waits without bound, nothing is lost before the bound, no line is torn by what a destination
// does, and each line has in front of it what its destination asks for.

import Dispatch
import Primitives
import Synchronization
import Testing

@testable import Observability

/// Collects what a sink writes, and takes it as a test says.
final class Paper: Sendable {
    private struct State: Sendable {
        var text = ""
        var pages: [String] = []
        /// How many bytes it still takes; nil for any number.
        var room: Int?
        var largest = 0
    }

    private let state = Mutex(State())

    var lines: [String] { Self.lines(of: state.withLock { $0.text }) }
    /// What was written before each reopening.
    var pages: [[String]] { state.withLock { $0.pages }.map(Self.lines) }
    /// The most bytes written at once.
    var largest: Int { state.withLock { $0.largest } }
    func setRoom(_ bytes: Int?) { state.withLock { $0.room = bytes } }

    /// What is given to a sink.
    func writer(_ before: @escaping @Sendable () -> Void = {}) -> sending any LogWriter { Pen(self, before) }

    private final class Pen: LogWriter {
        private let paper: Paper
        private let before: @Sendable () -> Void

        init(_ paper: Paper, _ before: @escaping @Sendable () -> Void) {
            self.paper = paper
            self.before = before
        }

        func write(_ lines: Span<UInt8>) -> LogWriting {
            before()
            let bytes = [UInt8](copying: lines)
            return paper.state.withLock { state in
                let count = min(bytes.count, state.room ?? bytes.count)
                state.text += String(decoding: bytes[..<count], as: UTF8.self)
                state.largest = max(state.largest, count)
                if let room = state.room { state.room = room - count }
                return LogWriting(count: count, problem: count < bytes.count ? "no room" : nil)
            }
        }

        func reopen() -> String? {
            paper.state.withLock { state in
                state.pages.append(state.text)
                state.text = ""
                state.room = nil
            }
            return nil
        }
    }

    private static func lines(of text: String) -> [String] { text.split(separator: "\n").map(String.init) }
}

@Suite("Log sink")
struct LogSinkTests {
    private let tenLines = (0..<10).map { "012345678901234567\($0)\n" }

    @Test("when the writer stands still, lines are dropped and counted, and nobody waits")
    func bounded() {
        let gate = DispatchSemaphore(value: 0)
        let started = DispatchSemaphore(value: 0)
        let paper = Paper()
        let sink = LogSink(
            label: "test",
            writer: paper.writer {
                started.signal()
                gate.wait()
            })
        #expect(sink.append(Array("first\n".utf8), bytesMax: 100))
        started.wait()
        // What is being written counts too: 94 bytes are left.
        let taken = tenLines.map { sink.append(Array($0.utf8), bytesMax: 100) }
        #expect(taken == [true, true, true, true, false, false, false, false, false, false])
        gate.signal()
        gate.signal()
        sink.flush()
        #expect(paper.lines.count == 5)
    }

    @Test("each log has its own losses and its own bound in a sink that they share")
    func shared() {
        let gate = DispatchSemaphore(value: 0)
        let paper = Paper()
        let sink = LogSink(label: "test", writer: paper.writer { gate.wait() })
        let losses = ["access", "audit"].map { LogLoss(name: $0) }
        let access = LogOutlet(losses[0], to: sink, .plain)
        let audit = LogOutlet(losses[1], to: sink, .plain, isPrecious: true)
        let full = [UInt8](repeating: UInt8(ascii: "x"), count: LogOutlet.bytesMax - 1) + [0x0A]
        access.append(full)
        access.append(Array("one\ntwo\n".utf8))
        audit.append(Array("precious\n".utf8))
        #expect(losses.map(\.lines) == [2, 0])
        audit.append(full)
        #expect(losses.map(\.lines) == [2, 1])
        for _ in 0..<100 { gate.signal() }
        sink.flush()
        #expect(paper.lines.last == "precious")
    }

    @Test("what finds no room waits and goes on where it stopped: no line is torn or lost", arguments: 0...60)
    func full(room: Int) {
        let paper = Paper()
        let sink = LogSink(label: "test", retryMilliseconds: 1_000_000, writer: paper.writer())
        paper.setRoom(room)
        for line in tenLines { _ = sink.append(Array(line.utf8), bytesMax: 1000) }
        sink.flush()
        #expect(sink.problem == "no room")
        paper.setRoom(nil)
        sink.flush()
        #expect(sink.problem == nil)
        #expect(paper.lines.joined(separator: "\n") + "\n" == tenLines.joined())
    }

    @Test(
        "opened anew in the middle of a line, the new file has the whole of it", arguments: [0, 20, 25, 39])
    func reopened(room: Int) {
        let paper = Paper()
        let sink = LogSink(label: "test", retryMilliseconds: 1_000_000, writer: paper.writer())
        paper.setRoom(room)
        for line in tenLines { _ = sink.append(Array(line.utf8), bytesMax: 1000) }
        sink.reopen { Issue.record("\($0)") }
        sink.flush()
        let whole = room / 20
        #expect(paper.pages[0].prefix(whole).map { $0 + "\n" } == Array(tenLines[..<whole]))
        #expect(paper.lines.map { $0 + "\n" } == Array(tenLines[whole...]))
    }

    @Test("under a load that never ends, a slow destination is opened anew as well")
    func reopenedUnderLoad() {
        let paper = Paper()
        let (began, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let count = Mutex(0)
        let fed = Mutex<LogSink?>(nil)
        // With each line that is written comes another one.
        let sink = LogSink(
            label: "test",
            writer: paper.writer {
                let number = count.withLock { count in
                    count += 1
                    return count
                }
                if number < 100 { _ = fed.withLock { $0 }?.append(Array("\(number)\n".utf8), bytesMax: 1000) }
                if number == 1 {
                    began.signal()
                    gate.wait()
                }
            })
        fed.withLock { $0 = sink }
        _ = sink.append(Array("0\n".utf8), bytesMax: 1000)
        began.wait()
        sink.reopen { Issue.record("\($0)") }
        gate.signal()
        sink.flush()
        #expect(paper.pages == [["0", "1"]])
        #expect(paper.lines == (2..<100).map(String.init))
    }

    @Test("a batch is whole lines and at most 64 kB, unless one line is longer")
    func batches() {
        let gate = DispatchSemaphore(value: 0)
        let paper = Paper()
        let sink = LogSink(label: "test", writer: paper.writer { gate.wait() })
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 999) + [0x0A]
        for _ in 0..<1000 { _ = sink.append(line, bytesMax: 4_000_000) }
        for _ in 0..<1000 { gate.signal() }
        sink.flush()
        #expect(paper.lines.count == 1000)
        #expect(paper.largest == 65_000)
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 99_999) + [0x0A]
        _ = sink.append(long + long, bytesMax: 4_000_000)
        sink.flush()
        #expect(paper.largest == 100_000)
    }

    @Test("what a retired sink cannot write in its time is given up, and told, and so is its end")
    func retired() {
        let paper = Paper()
        paper.setRoom(25)
        let sink = LogSink(label: "test", retryMilliseconds: 1_000_000, writer: paper.writer())
        for line in tenLines { _ = sink.append(Array(line.utf8), bytesMax: 1000) }
        let told = DispatchSemaphore(value: 0)
        let count = Mutex(0)
        sink.retire(milliseconds: 0) { lines in
            count.withLock { $0 = lines }
            told.signal()
        }
        told.wait()
        #expect(count.withLock { $0 } == 9)
        // And where nothing is left, that is told as well: its file may be closed.
        sink.retire(milliseconds: 0) { lines in
            count.withLock { $0 = lines }
            told.signal()
        }
        told.wait()
        #expect(count.withLock { $0 } == 0)
    }
}

@Suite("The error log and the audit log")
struct ServiceLogTests {
    private let moment = WallTime(seconds: 1_772_690_766)

    private func lines(
        _ framing: LogFraming, level: LogLevel = .debug, _ body: (ServiceLog, AuditLog) -> Void
    ) -> [String] {
        let paper = Paper()
        let sink = LogSink(label: "test", writer: paper.writer())
        let outlet = LogOutlet(LogLoss(name: "error"), to: sink, framing)
        let moment = moment
        body(ServiceLog(outlet, level: level, clock: { moment }), AuditLog(outlet, clock: { moment }))
        sink.flush()
        return paper.lines
    }

    @Test("a message of the error log stays on its line, and quiet ones are left out")
    func oneLine() {
        let lines = lines(.plain, level: .info) { log, _ in
            log.info("a\nb\u{1B}[31m")
            log.debug("quiet")
        }
        #expect(lines == ["2026-03-05T06:06:06.000Z info a?b?[31m"])
    }

    @Test("the journal gets the severity in front of each line")
    func journal() {
        let lines = lines(.journal) { log, _ in
            log.error("e")
            log.warning("w")
            log.info("i")
            log.debug("d")
        }
        #expect(lines.map { $0.prefix(3) } == ["<3>", "<4>", "<6>", "<7>"])
    }

    @Test("syslog gets facility and severity, its own local time and the tag, as the C library writes them")
    func syslog() {
        let header = SyslogHeader(facility: 16, tag: "gw[7]", localOffsetSeconds: { _ in 3600 })
        let lines = lines(.syslog(header)) { log, audit in
            log.error("e")
            audit.record("session_started", [])
            audit.record("refresh_token_reused", [])
        }
        #expect(lines[0] == "<131>Mar  5 07:06:06 gw[7]: 2026-03-05T06:06:06.000Z error e")
        #expect(lines[1].hasPrefix("<133>Mar  5 07:06:06 gw[7]: {\"@timestamp\""))
        #expect(lines[2].hasPrefix("<132>"))
    }

    @Test("both go elsewhere when they are changed, and the audit log nowhere when it is off")
    func changes() {
        let (old, new) = (Paper(), Paper())
        let sinks = [old, new].map { LogSink(label: "test", writer: $0.writer()) }
        let outlets = sinks.map { LogOutlet(LogLoss(name: "error"), to: $0, .plain) }
        let moment = moment
        let log = ServiceLog(outlets[0], level: .error, clock: { moment })
        let audit = AuditLog(outlets[0], clock: { moment })
        log.info("quiet")
        audit.record("first", [])
        log.change(to: outlets[1], level: .info)
        audit.change(to: outlets[1])
        log.info("loud")
        audit.record("second", [])
        audit.change(to: nil)
        audit.record("third", [])
        for sink in sinks { sink.flush() }
        #expect(old.lines.count == 1 && new.lines.count == 2)
    }

    @Test("a trouble and a loss are told at once, the next ones after a minute, and the end of it too")
    func news() {
        func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(milliseconds: seconds * 1000) }
        let loss = LogLoss(name: "access")
        var news = LogNews()
        #expect(news.sentence(loss, problem: nil, now: at(0)) == nil)
        #expect(
            news.sentence(loss, problem: "no room", now: at(0)) == "the access log cannot be written: no room"
        )
        loss.add(3)
        #expect(
            news.sentence(loss, problem: "no room", now: at(1))
                == "the access log cannot be written: no room; 3 lines are lost")
        loss.add(2)
        #expect(news.sentence(loss, problem: "no room", now: at(60)) == nil)
        #expect(
            news.sentence(loss, problem: nil, now: at(61)) == "the access log is written; 2 lines are lost")
        #expect(news.sentence(loss, problem: nil, now: at(200)) == nil)
        #expect(
            news.sentence(loss, problem: "gone", now: at(201)) == "the access log cannot be written: gone")
        #expect(loss.lines == 5)
    }
}
