// Many clients over one service, on a network that loses, doubles and delays, with a store that fails now and
// then and thieves who copy tokens. Time is virtual, chance comes from a seed: a run can be repeated exactly.
//
// An honest client uses the newest token it holds, and asks again with it when no answer comes. A message
// lives for at most 20 s, less than the race window: what a network may do beyond that cannot be told from
// theft.

import JOSE
import Primitives
import Support
import Testing

@testable import Sessions

/// One run.
final class RefreshSimulation {
    private struct Client {
        var tokens: IssuedTokens
        var generation: UInt32 = 0
        var isWaiting = false
        /// Whether somebody else has had a token of the session.
        var isRobbed = false
        var isOver = false
    }

    private enum Event {
        case wake(Int)
        case request(Int, token: String)
        case answer(Int, to: String, IssuedTokens)
        case timeout(Int, token: String)
        case rob(Int, delay: Int64)
        case replay(Int, token: String, generation: UInt32)
        case rotateKey
    }

    private let gateway: ServiceHarness
    private var random: SeededGenerator
    private let hasClockSteps: Bool
    /// The server keys, where they change.
    private var ring: RefreshKeyRing?
    private var now: Int64 = 0
    private var sequence = 0
    private var events: [(at: Int64, number: Int, event: Event)] = []
    private var clients: [Client] = []
    /// The child that each token was exchanged for.
    private var children: [String: String] = [:]

    private(set) var requests = 0
    private(set) var replaysFound = 0
    /// How many server keys have come, and how many have gone again.
    private(set) var keysMade = 0
    private(set) var keysGone = 0
    /// What must not be, in words.
    private(set) var violations: Set<String> = []

    init(
        seed: UInt64, clientCount: Int, hasClockSteps: Bool, store: StoreKind, rotatesKeys: Bool = false,
        style: TokenStyle = .opaqueRefresh
    ) throws {
        ring = rotatesKeys ? RefreshKeyRing(idle: ServiceHarness.policy.idleLifetime) : nil
        gateway = try ServiceHarness(
            store, keys: ring?.keys ?? [RefreshKey(number: 1)],
            policy: ServiceHarness.policy(style))
        random = SeededGenerator(seed: seed)
        self.hasClockSteps = hasClockSteps
        for index in 0..<clientCount {
            clients.append(Client(tokens: try gateway.login("user\(index % 7)")))
            schedule(.wake(index), in: 0...600_000)
        }
        for index in stride(from: 0, to: clientCount, by: 4) {
            schedule(.rob(index, delay: index.isMultiple(of: 8) ? 0 : 3_600_000), in: 3_600_000...18_000_000)
        }
        if rotatesKeys { schedule(.rotateKey, in: 0...Samples.day) }
        gateway.faults.failAtRandom(seed: seed)
    }

    /// Goes on until so many requests have reached the service, then lets every honest client refresh once
    /// more.
    func run(requestsMax: Int) throws {
        while requests < requestsMax, let next = events.popLast() {
            gateway.clock.advance(next.at - now)
            now = next.at
            if hasClockSteps && chance(100) {
                gateway.clock.advance(-Int64.random(in: 0...3_600_000, using: &random))
            }
            lookAtKeys()
            try handle(next.event)
        }
        gateway.faults.heal()
        for client in clients where !client.isRobbed {
            let tokens = try refresh(client.tokens.refreshText, .body).tokens
            if tokens == nil { violations.insert("an honest client is logged out at the end") }
        }
    }

    // MARK: - Chance

    /// True once in so many times.
    private func chance(_ count: UInt64) -> Bool { random.next().isMultiple(of: count) }

    private func schedule(_ event: Event, in delay: ClosedRange<Int64>) {
        sequence += 1
        let entry = (at: now + Int64.random(in: delay, using: &random), number: sequence, event: event)
        // Latest first, so that the next one is the last.
        let place = events.firstIndex { ($0.at, $0.number) < (entry.at, entry.number) } ?? events.count
        events.insert(entry, at: place)
    }

    // MARK: - Events

    private func handle(_ event: Event) throws {
        switch event {
        case .wake(let index): send(index)
        case .timeout(let index, let token):
            if clients[index].isWaiting && clients[index].tokens.refreshText == token { send(index) }
        case .request(let index, let token): try arrive(index, token)
        case .answer(let index, let token, let tokens): try adopt(index, token, tokens)
        case .rob(let index, let delay): rob(index, delay)
        case .replay(let index, let token, let generation): try replay(index, token, generation)
        case .rotateKey:
            try ring?.rotate(
                idle: ServiceHarness.policy.idleLifetime, force: true, now: gateway.clock.now())
            keysMade += 1
            schedule(.rotateKey, in: 0...(4 * Samples.day))
        }
    }

    /// What a gateway does every ten seconds.
    private func lookAtKeys() {
        guard let known = ring else { return }
        let time = gateway.clock.now()
        ring?.upkeep(idle: ServiceHarness.policy.idleLifetime, now: time)
        keysGone += known.keys.count - (ring?.keys.count ?? 0)
        gateway.service.change(refreshKeys: ring?.keys(at: time) ?? known.keys)
    }

    /// A client asks: up to two copies of the request go out, and it will ask again.
    private func send(_ index: Int) {
        if clients[index].isOver { return }
        clients[index].isWaiting = true
        let token = clients[index].tokens.refreshText
        if !chance(6) { schedule(.request(index, token: token), in: 0...20_000) }
        if chance(6) { schedule(.request(index, token: token), in: 0...20_000) }
        // Mostly soon, sometimes when the lid is opened again.
        schedule(.timeout(index, token: token), in: chance(10) ? 60_000...40_000_000 : 5000...30_000)
    }

    private func arrive(_ index: Int, _ token: String) throws {
        requests += 1
        let reply = try refresh(token, .cookie)
        if let tokens = reply.tokens {
            try note(child: tokens, of: token)
            if !chance(6) { schedule(.answer(index, to: token, tokens), in: 0...5000) }
        } else if let why = reply.rejection {
            if clients[index].isRobbed {
                clients[index].isOver = true
            } else {
                violations.insert("an honest client is refused: \(why)")
            }
        }
    }

    /// As a shard does it: what is signed is unwrapped first.
    private func refresh(_ token: String, _ delivery: Delivery) throws -> SessionReply {
        guard let opaque = try gateway.unwrapped(token) else { return .rejected(.notGenuine) }
        return try gateway.refresh(opaque, delivery: delivery)
    }

    private func note(child tokens: IssuedTokens, of token: String) throws {
        let child = try #require(try gateway.unwrapped(tokens.refreshText))
        let parent = try #require(try gateway.unwrapped(token))
        if let known = children[parent], known != child { violations.insert("a token has two children") }
        children[parent] = child
    }

    private func adopt(_ index: Int, _ token: String, _ tokens: IssuedTokens) throws {
        guard clients[index].tokens.refreshText == token, !clients[index].isOver else { return }
        clients[index].tokens = tokens
        clients[index].isWaiting = false
        clients[index].generation += 1
        // With keys that change, time has to pass: every second client is away for days.
        let isAway = chance(ring == nil ? 100 : 2)
        schedule(.wake(index), in: isAway ? 300_000...400_000_000 : 300_000...1_200_000)
        if !hasClockSteps && !clients[index].isRobbed {
            if try !gateway.isLetIn(tokens) { violations.insert("a fresh access token is refused") }
        }
        if chance(8) { return }
        gateway.service.noteSeen([Sighting(sid: tokens.sid, generation: clients[index].generation)])
        _ = try gateway.find(tokens.sid)
    }

    // MARK: - Thieves

    private func rob(_ index: Int, _ delay: Int64) {
        clients[index].isRobbed = true
        let token = clients[index].tokens.refreshText
        schedule(
            .replay(index, token: token, generation: clients[index].generation),
            in: delay...(delay + 3_600_000))
    }

    /// A thief uses what was copied. Whether that has to be found out is told from the row, before it is
    /// tried.
    private func replay(_ index: Int, _ token: String, _ generation: UInt32) throws {
        guard let stored = try gateway.find(clients[index].tokens.sid) else {
            // The store failed just now.
            schedule(.replay(index, token: token, generation: generation), in: 1000...1000)
            return
        }
        let session = stored.session
        if session.ended != nil { return }
        let age = gateway.clock.now().milliseconds - session.rotated.milliseconds
        let isLate = session.generation == generation + 1 && session.isConfirmed && age > 30_000
        let mustBeFound = isLate || session.generation > generation + 1
        let reply = try refresh(token, .cookie)
        if reply.isUnavailable {
            schedule(.replay(index, token: token, generation: generation), in: 1000...1000)
        } else if mustBeFound {
            if reply.rejection != .replayed { violations.insert("a replay is not found out") }
            if try gateway.isLetIn(clients[index].tokens) { violations.insert("a stolen session goes on") }
            replaysFound += 1
        } else if let tokens = reply.tokens {
            try note(child: tokens, of: token)
        }
    }
}

@Suite struct RefreshSimulationTests {
    private static let chosen = UInt64.random(in: 0...UInt64.max)

    @Test(
        "no honest client is logged out, no token has two children, every late replay is found",
        arguments: [1, 2, 3, chosen])
    func network(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40, hasClockSteps: false, store: .memory)
        try run.run(requestsMax: 4000)
        #expect(run.violations.isEmpty, "seed \(seed)")
        #expect(run.requests >= 4000 && run.replaysFound > 0, "seed \(seed)")
    }

    @Test(
        "the same while server keys come and go, also between a lost answer and its retry",
        arguments: [7, 8, chosen])
    func keyRotation(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(
            seed: seed, clientCount: 40, hasClockSteps: false, store: .memory, rotatesKeys: true)
        try run.run(requestsMax: 4000)
        #expect(run.violations.isEmpty, "seed \(seed)")
        #expect(run.keysMade > 10 && run.keysGone > 3, "seed \(seed)")
    }

    @Test(
        "the same for every style of tokens",
        arguments: [TokenStyle.signedRefresh, .single(claim: "useExp", useLifetime: 600_000)], [9, chosen])
    func styles(_ style: TokenStyle, _ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(
            seed: seed, clientCount: 40, hasClockSteps: false, store: .memory, style: style)
        try run.run(requestsMax: 2000)
        #expect(run.violations.isEmpty, "seed \(seed)")
        // So short a run has no late replay by every seed.
        #expect(run.requests >= 2000 && (run.replaysFound > 0 || seed != 9), "seed \(seed)")
    }

    @Test("a clock that steps back now and then logs nobody out", arguments: [4, 5, chosen])
    func clockSteps(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40, hasClockSteps: true, store: .memory)
        try run.run(requestsMax: 3000)
        let refused = run.violations.filter { !$0.contains("replay") }
        #expect(refused.isEmpty, "seed \(seed)")
    }

    @Test("the same holds over SQLite", arguments: [6, chosen])
    func sqlite(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 20, hasClockSteps: false, store: .sqlite)
        try run.run(requestsMax: 800)
        #expect(run.violations.isEmpty, "seed \(seed)")
    }
}
