// One loop with real loopback sockets: accepting, echoing, deadlines, stale handles, messages from other
// queues.
//
// Nothing sleeps: the test waits for a semaphore that the loop signals, and gives up after a generous time.

import Dispatch
import Network
import Primitives
import Testing

@Suite struct EventLoopTests {
    @Test("a connection is accepted on a free port, and its bytes come back")
    func echo() throws {
        let shard = try Shard()
        defer { shard.stop() }
        #expect(shard.address.port != 0)
        let message = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let client = try shard.connect(sending: message)
        #expect(client.finished.wait(timeout: Shard.patience) == .success)
        #expect(shard.onQueue { client.received } == message)
    }

    @Test("many connections are served by one loop, each with its own bytes")
    func many() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let clients = try (0..<50).map {
            try shard.connect(sending: [UInt8](repeating: UInt8($0), count: 100))
        }
        for client in clients { #expect(client.finished.wait(timeout: Shard.patience) == .success) }
        let received = shard.onQueue { clients.map(\.received) }
        #expect(received == clients.indices.map { [UInt8](repeating: UInt8($0), count: 100) })
    }

    @Test(
        "a deadline fires once and not early, and one that was moved or cleared does not fire at its old time"
    )
    func deadlines() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let (soon, cleared) = (try shard.connect(sending: []), try shard.connect(sending: []))
        shard.onQueue {
            shard.loop.setDeadline(cleared, milliseconds: 100)
            shard.loop.clearDeadline(cleared)
            shard.loop.setDeadline(soon, milliseconds: 60_000)
            shard.loop.setDeadline(soon, milliseconds: 250)
            soon.due = soon.deadline
        }
        shard.mailbox.post("arm")
        #expect(soon.expired.wait(timeout: Shard.patience) == .success)
        shard.onQueue {
            #expect(soon.expiredAt >= soon.due)
            #expect(soon.deadline == .never)
            #expect(soon.expirations == 1)
            #expect(cleared.expirations == 0)
        }
    }

    @Test("a deadline that has been moved later is met at its later time")
    func movedDeadline() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let client = try shard.connect(sending: [])
        shard.onQueue {
            shard.loop.setDeadline(client, milliseconds: 100)
            shard.loop.setDeadline(client, milliseconds: 600)
            client.due = client.deadline
        }
        shard.mailbox.post("arm")
        #expect(client.expired.wait(timeout: Shard.patience) == .success)
        shard.onQueue { #expect(client.expiredAt >= client.due && client.expirations == 1) }
    }

    @Test("a target without a connection waits for its deadlines alone, until it is removed")
    func timer() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let (clock, removed) = (Alarm(), Alarm())
        shard.onQueue {
            for alarm in [clock, removed] {
                shard.loop.add(timer: alarm)
                shard.loop.setDeadline(alarm, milliseconds: 100)
            }
            shard.loop.remove(removed)
            #expect(clock.isRegistered && !removed.isRegistered)
        }
        shard.mailbox.post("arm")
        #expect(clock.rang.wait(timeout: Shard.patience) == .success)
        shard.onQueue {
            #expect((clock.count, removed.count) == (1, 0))
            shard.loop.remove(clock)
            #expect(shard.loop.target(slot: clock.slot) == nil)
        }
    }

    @Test("the handle of a target that was removed finds nothing, also when its place is taken")
    func staleHandle() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let first = try shard.connect(sending: [])
        let slot = shard.onQueue { first.slot }
        shard.onQueue {
            #expect(shard.loop.target(slot: slot) === first)
            shard.loop.setDeadline(first, milliseconds: 100)
            shard.loop.remove(first)
            shard.loop.remove(first)
            #expect(!first.isRegistered)
            #expect(first.deadline == .never)
            #expect(shard.loop.target(slot: slot) == nil)
        }
        let second = try shard.connect(sending: [])
        shard.onQueue {
            #expect(second.slot != slot)
            #expect(shard.loop.target(slot: slot) == nil)
            #expect(shard.loop.target(slot: second.slot) === second)
            #expect(shard.loop.target(slot: 0) == nil)
            shard.loop.setDeadline(second, milliseconds: 300)
        }
        shard.mailbox.post("arm")
        #expect(second.expired.wait(timeout: Shard.patience) == .success)
        shard.onQueue { #expect(first.expirations == 0) }
    }

    @Test("messages of other queues arrive, each sender's in its order, and none after the door is closed")
    func mailbox() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let mailbox = shard.mailbox
        DispatchQueue.concurrentPerform(iterations: 4) { sender in
            for number in 0..<500 { mailbox.post("\(sender) \(number)") }
        }
        for _ in 0..<2000 { #expect(shard.arrived.wait(timeout: Shard.patience) == .success) }
        let messages = shard.onQueue { shard.messages }
        for sender in 0..<4 {
            #expect(messages.filter { $0.hasPrefix("\(sender) ") } == (0..<500).map { "\(sender) \($0)" })
        }
        shard.mailbox.close()
        #expect(!shard.mailbox.post("late"))
        #expect(shard.onQueue { shard.messages.count } == 2000)
    }

    @Test("a connection that nobody accepts fails with a reason")
    func refused() throws {
        let shard = try Shard()
        defer { shard.stop() }
        let nobody = try Shard.freePort()
        let client = try shard.connect(sending: [1], to: nobody)
        #expect(client.finished.wait(timeout: Shard.patience) == .success)
        #expect(shard.onQueue { client.failure }?.reason == "Connection refused")
    }

    @Test("a port that is taken is refused, and a listener that never started goes quietly")
    func taken() throws {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let first = try Listener(on: address)
        #expect { try Listener(on: first.address) } throws: { error in
            (error as? SystemError)?.call == "bind"
        }
    }
}

/// A deadline and nothing else.
private final class Alarm: EventTarget {
    let rang = DispatchSemaphore(value: 0)
    private(set) var count = 0

    override func deadlinePassed() {
        count += 1
        rang.signal()
    }
}
