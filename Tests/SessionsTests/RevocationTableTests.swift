// A shard's replica of the revocations, what it refuses and when it forgets; and that the audit log, and
// whatever prints a token pair, holds no token.

import JOSE
import Primitives
import Testing

@testable import Sessions

@Suite struct RevocationTableTests {
    private let start = Samples.start
    private let gateway: ServiceHarness
    private let pair: IssuedTokens
    private let token: VerifiedToken

    init() throws {
        gateway = try ServiceHarness()
        pair = try gateway.login()
        token = try #require(try gateway.verify(pair))
    }

    private func at(_ milliseconds: Int64) -> WallTime { start.advanced(byMilliseconds: milliseconds) }

    private func refusal(_ scopes: Revocation.Scope...) -> TokenRejection? {
        var table = RevocationTable()
        for scope in scopes { table.apply(Revocation(scope: scope, at: start), until: at(1000)) }
        return table.refusal(of: token)
    }

    private func spared(_ sid: SessionID, from epoch: Int64 = 0) -> Revocation.Spared {
        Revocation.Spared(sid: sid, oldestEpoch: epoch)
    }

    @Test("a session's tokens are refused, another session's are not")
    func session() {
        #expect(refusal() == nil)
        #expect(refusal(.session(.random())) == nil)
        #expect(refusal(.session(pair.sid)) == .sessionEnded)
    }

    @Test("a subject's older tokens are refused, newer ones and other subjects' are not")
    func subject() {
        #expect(refusal(.subject("alice", epoch: 1, sparing: nil)) == .revoked)
        #expect(refusal(.subject("alice", epoch: 0, sparing: nil)) == nil)
        #expect(refusal(.subject("Alice", epoch: 1, sparing: nil)) == nil)
    }

    @Test("the spared session's tokens are let in, but for those that were revoked before")
    func sparing() {
        #expect(refusal(.subject("alice", epoch: 1, sparing: spared(pair.sid))) == nil)
        #expect(refusal(.subject("alice", epoch: 1, sparing: spared(.random()))) == .revoked)
        #expect(refusal(.subject("alice", epoch: 2, sparing: spared(pair.sid, from: 1))) == .revoked)
        #expect(
            refusal(.subject("alice", epoch: 1, sparing: spared(pair.sid)), .session(pair.sid))
                == .sessionEnded)
    }

    @Test("a later revocation takes the earlier one's place, an older one does not")
    func order() {
        let (sparing, all) = (spared(pair.sid), Revocation.Scope.subject("alice", epoch: 2, sparing: nil))
        #expect(refusal(.subject("alice", epoch: 1, sparing: sparing), all) == .revoked)
        #expect(refusal(all, .subject("alice", epoch: 1, sparing: sparing)) == .revoked)
        #expect(refusal(all, .subject("alice", epoch: 3, sparing: sparing)) == nil)
    }

    @Test("subjects are told apart by their bytes: a look-alike's low epoch hides nothing")
    func spellings() throws {
        let (composed, split) = ("jos\u{e9}", "jose\u{301}")
        let victim = try #require(try gateway.verify(try gateway.login(split)))
        var table = RevocationTable()
        table.apply(Revocation(scope: .subject(composed, epoch: 5, sparing: nil), at: start), until: at(9))
        #expect(table.refusal(of: victim) == nil)
        table.apply(Revocation(scope: .subject(split, epoch: 1, sparing: nil), at: start), until: at(9))
        #expect(table.refusal(of: victim) == .revoked && table.count == 2)
    }

    @Test("what can no longer matter is forgotten, not before, and only once a minute")
    func sweep() {
        var table = RevocationTable()
        table.apply(Revocation(scope: .session(pair.sid), at: start), until: at(100_000))
        table.apply(
            Revocation(scope: .subject("alice", epoch: 1, sparing: nil), at: start), until: at(200_000))
        table.sweep(at(99_999))
        #expect(table.count == 2)
        table.sweep(at(100_000))
        #expect(table.count == 2 && table.refusal(of: token) == .sessionEnded)
        table.sweep(at(160_000))
        #expect(table.count == 1 && table.refusal(of: token) == .revoked)
        table.sweep(at(220_000))
        #expect(table.count == 0 && table.refusal(of: token) == nil)
    }

    @Test("a clock that was set back does not shorten a revocation that is known")
    func clockSetBack() {
        var table = RevocationTable()
        for until in [at(200_000), at(100_000)] {
            table.apply(Revocation(scope: .session(pair.sid), at: start), until: until)
            table.apply(Revocation(scope: .subject("alice", epoch: 1, sparing: nil), at: start), until: until)
        }
        table.sweep(at(150_000))
        #expect(table.count == 2)
    }

    @Test("a clock that was set a day ahead, and then back, has nothing forgotten that can still matter")
    func clockSetAhead() {
        var table = RevocationTable()
        let begun = MonotonicInstant(milliseconds: 5000)
        for scope in [
            Revocation.Scope.session(pair.sid), .subject("alice", epoch: 1, sparing: nil),
        ] {
            let heldUntil = begun.advanced(byMilliseconds: 100_000)
            table.apply(Revocation(scope: scope, at: start), until: at(100_000), heldUntil: heldUntil)
        }
        table.sweep(at(Samples.day), begun.advanced(byMilliseconds: 99_999))
        #expect(table.count == 2 && table.refusal(of: token) == .sessionEnded)
        // The neighbours: set back, its tokens live longer; and when both clocks say so, it goes.
        table.sweep(at(99_999), begun.advanced(byMilliseconds: 200_000))
        #expect(table.count == 2)
        table.sweep(at(100_000), begun.advanced(byMilliseconds: 300_000))
        #expect(table.count == 0)
    }
}

@Suite struct SecrecyTests {
    @Test("no token stands in the audit log, in the store, or in what prints a pair")
    func secrecy() throws {
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path)
        var pairs = [try gateway.login()]
        for _ in 0..<3 { pairs.append(try gateway.refreshed(pairs[pairs.count - 1].refreshToken)) }
        gateway.faults.fail(.rotate)
        _ = try gateway.refresh(pairs[3].refreshToken)
        _ = try gateway.refresh(pairs[0].refreshToken)
        _ = try gateway.refresh(pairs[3].refreshToken)
        _ = try gateway.refresh("rt_" + String(repeating: "A", count: 92))
        var printed = gateway.events.map { "\($0)" }.joined()
        for pair in pairs { dump(pair, to: &printed) }
        printed += pairs.map { "\($0)\(String(reflecting: $0))" }.joined()
        for pair in pairs {
            // Any long stretch of a token would be too much: look for its secret part, in text.
            let secret = String(pair.refreshToken.dropFirst(32).prefix(12))
            let access = String(decoding: pair.accessToken.suffix(40), as: UTF8.self)
            #expect(!printed.contains(secret) && !printed.contains(access))
        }
        #expect(Set(gateway.events.map(\.kind)).count >= 5)
        let stored = try Samples.bytes(ofDatabase: path)
        for pair in pairs {
            let decoded = Base64URL.decode(Array(pair.refreshToken.utf8.dropFirst(3)).span)
            let raw = try #require(decoded)
            let secret = Array(raw[21..<53])
            #expect(!stored.contains(secret))
            #expect(!stored.contains(Array(pair.refreshToken.utf8)) && !stored.contains(pair.accessToken))
        }
    }

    @Test("a client's description of itself is cut, however its characters are built")
    func description() {
        let accents = "e" + String(repeating: "\u{301}", count: 10_000)
        let client = ClientDescription(
            userAgent: accents, address: String(repeating: "é", count: 999), label: "é")
        #expect(client.userAgent.unicodeScalars.count == 256 && client.address.unicodeScalars.count == 256)
        #expect(client.label == "é")
    }
}

extension RevocationTable {
    /// Both clocks run as one.
    mutating func apply(_ revocation: Revocation, until: WallTime) {
        apply(revocation, until: until, heldUntil: MonotonicInstant(milliseconds: until.milliseconds))
    }

    mutating func sweep(_ now: WallTime) { sweep(now, MonotonicInstant(milliseconds: now.milliseconds)) }
}
