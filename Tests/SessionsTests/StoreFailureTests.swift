// A store that fails: the answer is "not now", nothing has happened, the token is good afterwards, and nobody
// else in the batch pays for it. And what was answered is on disk when the process is killed.

import Dispatch
import JOSE
import Primitives
import Testing

@testable import Sessions

/// One order and a verb that it needs.
struct FailingStep: CustomStringConvertible {
    let verb: StoreVerb
    let order: String
    var description: String { "\(order) while \(verb.rawValue) fails" }
}

@Suite struct StoreFailureTests {
    private static let steps: [FailingStep] =
        [
            ("login", [.begin, .epoch, .insert, .commit]),
            ("login in place", [.begin, .end, .insert, .commit]),
            ("refresh", [.begin, .find, .rotate, .commit]), ("retry", [.begin, .find, .rotate, .commit]),
            ("replay", [.begin, .find, .end, .commit]), ("logout", [.begin, .end, .commit]),
            ("end", [.begin, .end, .commit]), ("end subject", [.begin, .raiseEpoch, .commit]),
            ("expire access", [.begin, .raiseEpoch, .commit]), ("list", [.begin, .list, .commit]),
            ("find", [.begin, .find, .commit]),
        ].flatMap { (order: String, verbs: [StoreVerb]) in verbs.map { FailingStep(verb: $0, order: order) } }

    /// A gateway with one session at generation 2 whose child is unconfirmed, a minute after that was made.
    private func prepared(_ kind: StoreKind) throws -> (ServiceHarness, tokens: [IssuedTokens]) {
        let gateway = try ServiceHarness(kind)
        var tokens = [try gateway.login()]
        for _ in 0..<2 {
            gateway.clock.advance(1000)
            tokens.append(try gateway.refreshed(tokens[tokens.count - 1].refreshToken))
        }
        gateway.clock.advance(1000)
        return (gateway, tokens)
    }

    private func order(_ name: String, _ tokens: [IssuedTokens]) -> SessionOrder {
        let sid = tokens[0].sid
        func login(_ replacing: SessionID?) -> SessionOrder {
            let client = Samples.client
            return .begin(NewSession(subject: "alice", claims: [], client: client, replacing: replacing))
        }
        switch name {
        case "login": return login(nil)
        case "login in place": return login(sid)
        case "refresh": return ServiceHarness.refreshing(tokens[2].refreshToken)
        case "retry": return ServiceHarness.refreshing(tokens[1].refreshToken)
        case "replay": return ServiceHarness.refreshing(tokens[0].refreshToken)
        case "logout": return .endByToken(token: Array(tokens[0].refreshToken.utf8), reason: .logout)
        case "end": return .end(sid, reason: .control)
        case "end subject": return .endSubject("alice", sparing: nil, reason: .control)
        case "expire access": return .expireAccess("alice", reason: .control)
        case "list": return .list(subject: nil, limit: 9)
        default: return .find(sid)
        }
    }

    @Test(
        "whatever fails, nothing has happened and the token stays good", arguments: steps, StoreKind.allCases)
    func oneVerb(_ step: FailingStep, _ kind: StoreKind) throws {
        let (gateway, tokens) = try prepared(kind)
        let before = try gateway.find(tokens[0].sid)
        let events = gateway.events
        gateway.faults.fail(step.verb)
        #expect(try gateway.ask(order(step.order, tokens)).isUnavailable)
        let reason = "made to fail: \(step.verb.rawValue)"
        #expect(gateway.events == events + [AuditEvent(.storeFailed, reason: reason)])
        #expect(gateway.revocations.isEmpty)
        #expect(try gateway.find(tokens[0].sid) == before)
        guard case .sessions(let all) = try gateway.ask(.list(subject: nil, limit: 9)) else { return }
        #expect(all.count == 1 && all.first?.subjectEpoch == 0)
        #expect(try gateway.isLetIn(tokens[2]))
        // The same order goes through now, and the newest token is as good as it would have been.
        let (control, controlTokens) = try prepared(kind)
        let answer = try gateway.ask(order(step.order, tokens))
        let expected = try control.ask(order(step.order, controlTokens))
        #expect(!answer.isUnavailable && answer.rejection == expected.rejection)
        #expect(
            answer.endedCount == expected.endedCount && (answer.tokens == nil) == (expected.tokens == nil))
    }

    @Test(
        "a rotation whose commit failed gives the same child when it is tried again",
        arguments: StoreKind.allCases)
    func sameChild(_ kind: StoreKind) throws {
        let keys = [RefreshKey(number: 1)]
        let gateway = try ServiceHarness(kind, keys: keys)
        let pair = try gateway.login()
        gateway.faults.fail(.commit)
        #expect(try gateway.refresh(pair.refreshToken).isUnavailable)
        let mint = RefreshTokenMint(keys: keys)
        let parent = try #require(mint.parse(Array(pair.refreshToken.utf8)))
        #expect(try gateway.refreshed(pair.refreshToken).refreshToken == mint.text(mint.child(of: parent)))
    }

    @Test("an order that cannot succeed does not take the others with it", arguments: StoreKind.allCases)
    func poisonedBatch(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pairs = try (0..<5).map { try gateway.login("user\($0)") }
        gateway.faults.poison(pairs[2].sid)
        let orders =
            pairs.map { ServiceHarness.refreshing($0.refreshToken) } + [.end(pairs[0].sid, reason: .control)]
        let replies = try gateway.askTogether(orders)
        #expect(replies.map { $0.tokens != nil } == [true, true, false, true, true, false])
        #expect(replies[2].isUnavailable && replies[5].endedCount == 1)
        gateway.faults.heal()
        #expect(gateway.revocations.map(\.scope) == [.session(pairs[0].sid)])
        #expect(gateway.events.filter { $0.kind == .sessionEnded }.count == 1)
        #expect(try gateway.find(pairs[2].sid)?.session.generation == 0)
        #expect(try gateway.refreshed(pairs[2].refreshToken).sid == pairs[2].sid)
        #expect(try gateway.find(pairs[4].sid)?.session.generation == 1)
    }

    @Test("a commit that fails once for a batch costs nobody anything", arguments: StoreKind.allCases)
    func batchCommit(_ kind: StoreKind) throws {
        let gateway = try ServiceHarness(kind)
        let pairs = try (0..<5).map { _ in try gateway.login() }
        let gate = gateway.clock.hold()
        let first = gateway.submit(.find(.random()))
        #expect(gate.entered.wait(timeout: .now() + ServiceHarness.patience) == .success)
        let replies = pairs.map { gateway.submit(ServiceHarness.refreshing($0.refreshToken)) }
        gateway.faults.fail(.commit, times: 2)
        gate.release.signal()
        // The held order takes the first failure, the batch of five the second.
        #expect(try first.wait().isUnavailable)
        #expect(try replies.allSatisfy { try $0.wait().tokens != nil })
    }

    @Test("a purge that always fails costs one answer a minute, not all of them")
    func purge() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        gateway.faults.fail(.purge, times: .max)
        gateway.clock.advance(60_001)
        #expect(try gateway.refresh(pair.refreshToken).isUnavailable)
        #expect(try gateway.refresh(pair.refreshToken).tokens != nil)
    }

    @Test("a report that cannot be written is kept, and goes along with the next order")
    func sightings() throws {
        let gateway = try ServiceHarness()
        let pair = try gateway.login()
        gateway.faults.fail(.confirm, times: 2)
        try gateway.noteSeen(pair)
        _ = try gateway.find(pair.sid)
        #expect(try gateway.find(pair.sid)?.session.isConfirmed == true)
    }

    @Test("a gateway that cannot read its revocations says so before it serves")
    func revocations() throws {
        let gateway = try ServiceHarness()
        gateway.faults.fail(.revocations)
        #expect(throws: StoreError.self) { try gateway.service.publishRecentRevocations {} }
        #expect(throws: Never.self) { try gateway.service.publishRecentRevocations {} }
    }
}

@Suite struct CrashTests {
    @Test("what was answered is there after a crash: rotations, logins and revocations")
    func acknowledged() throws {
        let keys = [RefreshKey(number: 1)]
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path, keys: keys)
        var pair = try gateway.login()
        let ended = try gateway.login("bob")
        for generation in 1...20 as ClosedRange<UInt32> {
            let next = try gateway.refreshed(pair.refreshToken)
            if generation == 10 { _ = try gateway.ask(.end(ended.sid, reason: .logout)) }
            let survivor = try ServiceHarness(path: Samples.databaseAfterCrash(path), keys: keys)
            #expect(try survivor.find(pair.sid)?.session.generation == generation)
            #expect(try (survivor.find(ended.sid)?.session.ended != nil) == (generation >= 10))
            // The answer was lost with the process: the client asks again, and gets the same child.
            #expect(try survivor.refreshed(pair.refreshToken).refreshToken == next.refreshToken)
            #expect(try survivor.refreshed(next.refreshToken).sid == pair.sid)
            pair = next
        }
    }

    @Test("a restored backup logs nobody out: tokens ahead of it are taken, and told to the audit log")
    func restoredBackup() throws {
        let keys = [RefreshKey(number: 1)]
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path, keys: keys)
        let first = try gateway.login()
        let backup = try Samples.databaseAfterCrash(path)
        let third = try gateway.refreshed(try gateway.refreshed(first.refreshToken).refreshToken)
        let next = try gateway.refreshed(third.refreshToken)
        let restored = try ServiceHarness(path: backup, keys: keys)
        #expect(try restored.refreshed(third.refreshToken).refreshToken == next.refreshToken)
        let event = AuditEvent(
            .storeBehind, sid: first.sid, subject: "alice", reason: "stored generation 0", generation: 2)
        #expect(restored.events == [event])
        #expect(try restored.find(first.sid)?.session.generation == 3)
        // From there on all is as ever: a retry, then the next.
        #expect(try restored.refreshed(third.refreshToken).refreshToken == next.refreshToken)
        #expect(try restored.verify(try restored.refreshed(next.refreshToken))?.generation == 4)
        #expect(restored.events == [event])
    }
}
