// What the refresh service counts: each outcome under its own word, and a store that fails for long.

import Observability
import Primitives
import Testing

@testable import Sessions

@Suite struct SessionMetricsTests {
    private func counts(_ gateway: ServiceHarness) -> [RefreshOutcome: UInt64] {
        let refreshes = gateway.service.metrics.refreshes
        let all = RefreshOutcome.allCases.map { ($0, refreshes.value($0)) }
        return Dictionary(uniqueKeysWithValues: all.filter { $0.1 > 0 })
    }

    @Test("each refresh is counted once, by what became of it")
    func refreshes() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        let child = try gateway.refreshed(pair.refreshToken)
        _ = try gateway.refreshed(pair.refreshToken)
        #expect(counts(gateway) == [.granted: 1, .retry: 1])
        _ = try gateway.refreshed(child.refreshToken)
        _ = try gateway.refresh(pair.refreshToken)
        _ = try gateway.refresh(child.refreshToken)
        _ = try gateway.refresh("rt_x")
        #expect(counts(gateway) == [.granted: 2, .retry: 1, .reused: 1, .ended: 1, .malformed: 1])
        let metrics = gateway.service.metrics
        #expect(metrics.logins.value(.begun) == 1 && metrics.ends.value(.replay) == 1)
        #expect(metrics.revocations.value(.session) == 1 && metrics.revocations.value(.subject) == 0)
        #expect(metrics.storeErrors.value == 0)
    }

    @Test("a session whose time has passed is counted as expired, once")
    func expiry() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        gateway.clock.advance(8 * Samples.day)
        _ = try gateway.refresh(pair.refreshToken)
        _ = try gateway.refresh(pair.refreshToken)
        #expect(counts(gateway) == [.expired: 1, .ended: 1])
        #expect(gateway.service.metrics.ends.value(.idle) == 1)
    }

    @Test("a store is lost when it has failed for ten seconds, for as long as somebody tries")
    func loss() {
        let metrics = SessionMetrics()
        func fail(at seconds: Int64) { take(.unavailable, [AuditEvent(.storeFailed)], at: seconds) }
        func take(_ reply: SessionReply, _ events: [AuditEvent] = [], at seconds: Int64) {
            metrics.count(
                [.find(SessionID.random())], [SessionBook.Result(reply: reply)], events, took: .zero,
                now: WallTime(seconds: 1_000 + seconds))
        }
        func isLost(at seconds: Int64) -> Bool {
            metrics.isStoreLost(now: WallTime(seconds: 1_000 + seconds))
        }
        #expect(!isLost(at: 0))
        fail(at: 0)
        #expect(!isLost(at: 9) && isLost(at: 10))
        fail(at: 10)
        #expect(isLost(at: 39) && !isLost(at: 40))
        fail(at: 41)
        #expect(isLost(at: 41))
        // What only had to read says nothing of writing, and what was put off is no failure.
        take(.rejected(.ended(.logout)), at: 42)
        #expect(isLost(at: 42))
        take(.ended(1), at: 42)
        #expect(!isLost(at: 42))
        take(.unavailable, at: 42)
        #expect(!isLost(at: 60))
        fail(at: 43)
        #expect(!isLost(at: 52) && isLost(at: 53))
    }
}
