// A store that another process is to have: whatever is asked before, meanwhile and after is answered once.

import Dispatch
import Primitives
import Synchronization
import Testing

@testable import Sessions

@Suite struct StoreReleaseTests {
    @Test("each order has one reply, whether it comes before the release, meanwhile or afterwards")
    func orders() throws {
        let gateway = try ServiceHarness(path: Samples.databasePath())
        let replies = Mutex([Int](repeating: 0, count: 900))
        let issued = Mutex<[IssuedTokens]>([])
        let arrived = DispatchSemaphore(value: 0)
        func submit(_ numbers: Range<Int>) {
            for number in numbers {
                let new = NewSession(
                    subject: "user\(number)", claims: Array("{}".utf8), client: Samples.client,
                    replacing: nil)
                gateway.service.submit(.begin(new)) { reply in
                    replies.withLock { $0[number] += 1 }
                    if let tokens = reply.tokens { issued.withLock { $0.append(tokens) } }
                    arrived.signal()
                }
            }
        }
        let gate = gateway.clock.hold()
        let held = gateway.submit(.find(.random()))
        #expect(gate.entered.wait(timeout: .now() + ServiceHarness.patience) == .success)
        // More than one transaction's worth.
        submit(0..<600)
        let released = DispatchSemaphore(value: 0)
        gateway.service.release { released.signal() }
        gate.release.signal()
        _ = try held.wait()
        submit(600..<700)
        #expect(released.wait(timeout: .now() + ServiceHarness.patience) == .success)
        submit(700..<800)
        try gateway.resume()
        submit(800..<900)
        for _ in 0..<900 {
            #expect(arrived.wait(timeout: .now() + ServiceHarness.patience) == .success)
        }
        #expect(replies.withLock { $0.allSatisfy { $0 == 1 } })
        // Nothing was said that is not on disk: each of them can be refreshed.
        let tokens = issued.withLock { $0 }
        #expect(tokens.count >= 700)
        for one in tokens { _ = try gateway.refreshed(one.refreshToken) }
    }

    @Test("while another process has the store every order is unavailable, and costs no session")
    func meanwhile() throws {
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path)
        let tokens = try gateway.login()
        let released = DispatchSemaphore(value: 0)
        gateway.service.release { released.signal() }
        #expect(released.wait(timeout: .now() + ServiceHarness.patience) == .success)
        #expect(try gateway.refresh(tokens.refreshToken).isUnavailable)
        do {
            // It is free now; and the other one's until that lets it go.
            let other = try SQLiteSessionStore(path: path)
            #expect(try other.find(tokens.sid) != nil)
            #expect(throws: StoreError.self) { try gateway.resume() }
            #expect(try gateway.refresh(tokens.refreshToken).isUnavailable)
        }
        try gateway.resume()
        _ = try gateway.refreshed(tokens.refreshToken)
    }

    @Test("what was revoked meanwhile is in force when it is told after the store has been opened again")
    func revoked() throws {
        let path = try Samples.databasePath()
        let gateway = try ServiceHarness(path: path)
        let tokens = try gateway.login()
        let released = DispatchSemaphore(value: 0)
        gateway.service.release { released.signal() }
        #expect(released.wait(timeout: .now() + ServiceHarness.patience) == .success)
        do {
            let other = try SQLiteSessionStore(path: path)
            _ = try other.end(tokens.sid, Session.Ending(at: gateway.clock.now(), reason: .control))
        }
        try gateway.resume()
        try gateway.service.publishRecentRevocations {}
        #expect(gateway.revocations.count == 1)
    }
}
