// How many sessions a subject may have, and how long tokens live by chance.

import Primitives
import Testing

@testable import Sessions

@Suite struct SessionLimitTests {
    private func gateway(_ change: (inout SessionPolicy) -> Void) throws -> ServiceHarness {
        var policy = ServiceHarness.policy
        change(&policy)
        return try ServiceHarness(policy: policy)
    }

    @Test("with one session too many the oldest ends, by its own reason and at once; nobody else's does")
    func limit() throws {
        let gateway = try gateway { $0.sessionsPerSubject = 3 }
        let bob = try gateway.login("bob")
        var alice: [IssuedTokens] = []
        for _ in 0..<3 {
            alice.append(try gateway.login("alice"))
            gateway.clock.advance(1000)
        }
        #expect(gateway.revocations.isEmpty)
        let fourth = try gateway.login("alice")
        #expect(gateway.revocations.map(\.scope) == [.session(alice[0].sid)])
        #expect(try gateway.refresh(alice[0].refreshToken).rejection == .ended(.limit))
        #expect(try !gateway.isLetIn(alice[0]))
        for tokens in [alice[1], alice[2], fourth, bob] { _ = try gateway.refreshed(tokens.refreshToken) }
        // A login in the place of one's own session ends that one, and no other.
        _ = try gateway.login("alice", replacing: fourth.sid)
        #expect(try gateway.refresh(fourth.refreshToken).rejection == .ended(.replaced))
        #expect(try gateway.find(alice[1].sid)?.session.ended == nil)
    }

    @Test("a limit that was lowered is reached a few sessions at a time")
    func lowered() throws {
        let gateway = try gateway { $0.sessionsPerSubject = 40 }
        for _ in 0..<40 {
            _ = try gateway.login()
            gateway.clock.advance(1000)
        }
        var policy = ServiceHarness.policy
        policy.sessionsPerSubject = 5
        gateway.service.change(to: policy)
        var ended: [Int] = []
        for _ in 0..<4 {
            let before = gateway.revocations.count
            _ = try gateway.login()
            ended.append(gateway.revocations.count - before)
            gateway.clock.advance(1000)
        }
        #expect(ended == [16, 16, 6, 1])
    }

    @Test("without a limit nobody's session ends by it")
    func unlimited() throws {
        let gateway = try ServiceHarness()
        for _ in 0..<150 { _ = try gateway.login() }
        #expect(gateway.revocations.isEmpty)
    }

    @Test("tokens live shorter by up to the jitter, never longer, and not all alike")
    func jitter() throws {
        let gateway = try gateway { $0.jitterPercent = 5 }
        let lifetimes = try (0..<200).map { _ in try gateway.login().accessSeconds }
        #expect(lifetimes.allSatisfy { (855...900).contains($0) })
        #expect(Set(lifetimes).count > 10)
        #expect(try ServiceHarness().login().accessSeconds == 900)
    }

    @Test("of a token with two expiries the shorter one is shortened")
    func jitterOfSingleTokens() throws {
        let gateway = try gateway {
            $0.jitterPercent = 50
            $0.accessLifetime = 7 * Samples.day
            $0.style = .single(claim: "useExp", useLifetime: 600_000)
        }
        let tokens = try (0..<50).map { _ in try gateway.login() }
        #expect(tokens.allSatisfy { (300...600).contains($0.accessSeconds) })
        #expect(Set(tokens.map(\.accessSeconds)).count > 10)
        #expect(tokens.allSatisfy { $0.refreshSeconds == 7 * 86_400 })
    }
}
