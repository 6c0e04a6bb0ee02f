// Many clients over one service, on a network that loses, doubles and delays, with a store that fails now and
// then, a process that is killed, and thieves who copy tokens. Time is virtual, chance comes from a seed: a
// run can be repeated exactly. What the clients saw is recorded, and judged by `HistoryChecker`.
//
// An honest client uses the newest token it holds, and asks again with it when no answer comes. A message
// lives for at most 20 s, less than the race window: what a network may do beyond that cannot be told from
// theft.

import Foundation
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
        case replay(Int, token: String)
        case rotateKey
        case crash
    }

    private var gateway: ServiceHarness
    private var random: SeededGenerator
    private let hasClockSteps: Bool
    /// The server keys, where they change.
    private var ring: RefreshKeyRing?
    private var now: Int64 = 0
    private var sequence = 0
    private var events: [(at: Int64, number: Int, event: Event)] = []
    private var clients: [Client] = []
    private(set) var history = RefreshHistory()

    private(set) var requests = 0
    private(set) var crashes = 0
    /// How many server keys have come, and how many have gone again.
    private(set) var keysMade = 0
    private(set) var keysGone = 0

    /// - Parameter crashes: whether the process is killed now and then; its store is SQLite.
    init(
        seed: UInt64, clientCount: Int, hasClockSteps: Bool = false, rotatesKeys: Bool = false,
        crashes: Bool = false, style: TokenStyle = .opaqueRefresh
    ) throws {
        ring = rotatesKeys ? RefreshKeyRing(idle: ServiceHarness.policy.idleLifetime) : nil
        let keys = ring?.keys ?? [RefreshKey(number: 1)]
        gateway = try ServiceHarness(
            path: crashes ? Samples.databasePath() : nil, keys: keys,
            policy: ServiceHarness.policy(style))
        random = SeededGenerator(seed: seed)
        self.hasClockSteps = hasClockSteps
        for index in 0..<clientCount {
            let tokens = try gateway.login("user\(index % 7)")
            clients.append(Client(tokens: tokens))
            note(.began(session: index, token: try opaque(tokens.refreshText)))
            schedule(.wake(index), in: 0...600_000)
        }
        for index in stride(from: 0, to: clientCount, by: 4) {
            schedule(.rob(index, delay: index.isMultiple(of: 8) ? 0 : 3_600_000), in: 3_600_000...18_000_000)
        }
        if crashes { schedule(.crash, in: 0...1_800_000) }
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
        for (index, client) in clients.enumerated() {
            let reply = try refresh(client.tokens.refreshText, .body)
            try note(index, client.tokens.refreshText, by: .owner, reply)
            if let tokens = reply.tokens { try use(index, tokens) }
        }
    }

    // MARK: - The record

    private func note(_ event: RefreshHistory.Event) { history.note(event, at: now) }

    private func note(
        _ index: Int, _ token: String, by holder: RefreshHistory.Holder, _ reply: SessionReply
    ) throws {
        let answer: RefreshHistory.Answer =
            if let tokens = reply.tokens {
                .child(try opaque(tokens.refreshText))
            } else {
                // A clock that steps back by as much as a client's allowance lasts may look like haste.
                reply.isPutOff ? .unavailable : .refused
            }
        history.note(index, try opaque(token), by: holder, answer, at: now)
    }

    /// What a token is in the record: the same one may be signed anew.
    private func opaque(_ token: String) throws -> String { try gateway.unwrapped(token) ?? token }

    /// As a shard does it: what is signed is unwrapped first.
    private func refresh(_ token: String, _ delivery: Delivery) throws -> SessionReply {
        try gateway.refresh(try opaque(token), delivery: delivery)
    }

    private func use(_ index: Int, _ tokens: IssuedTokens) throws {
        note(.used(session: index, isLetIn: try gateway.isLetIn(tokens)))
    }

    /// Whether the row says that the client has its tokens: a report may be lost.
    private func lookAtConfirmation(_ index: Int) throws {
        guard let session = try gateway.find(clients[index].tokens.sid)?.session, session.isConfirmed,
            session.generation == clients[index].generation
        else { return }
        note(.confirmed(session: index, token: try opaque(clients[index].tokens.refreshText)))
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
        case .replay(let index, let token): try replay(index, token)
        case .crash:
            gateway = try gateway.afterCrash()
            crashes += 1
            schedule(.crash, in: 0...1_800_000)
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
        try note(index, token, by: .owner, reply)
        if let tokens = reply.tokens {
            if !chance(6) { schedule(.answer(index, to: token, tokens), in: 0...5000) }
        } else if !reply.isPutOff {
            clients[index].isOver = true
        }
    }

    private func adopt(_ index: Int, _ token: String, _ tokens: IssuedTokens) throws {
        guard clients[index].tokens.refreshText == token, !clients[index].isOver else { return }
        clients[index].tokens = tokens
        clients[index].isWaiting = false
        clients[index].generation += 1
        // With keys that change, time has to pass: every second client is away for days.
        let isAway = chance(ring == nil ? 100 : 2)
        schedule(.wake(index), in: isAway ? 300_000...400_000_000 : 300_000...1_200_000)
        if !hasClockSteps { try use(index, tokens) }
        if chance(8) { return }
        gateway.service.noteSeen([Sighting(sid: tokens.sid, generation: clients[index].generation)])
        try lookAtConfirmation(index)
    }

    // MARK: - Thieves

    private func rob(_ index: Int, _ delay: Int64) {
        clients[index].isRobbed = true
        let token = clients[index].tokens.refreshText
        schedule(.replay(index, token: token), in: delay...(delay + 3_600_000))
    }

    /// A thief uses what was copied; then the owner goes on, if he is let.
    private func replay(_ index: Int, _ token: String) throws {
        let reply = try refresh(token, .cookie)
        try note(index, token, by: .stranger, reply)
        if reply.isPutOff {
            schedule(.replay(index, token: token), in: 1000...1000)
        } else if !hasClockSteps {
            try use(index, clients[index].tokens)
        }
    }
}

@Suite struct RefreshSimulationTests {
    private static let chosen = UInt64.random(in: 0...UInt64.max)

    /// How many short histories are made; HISTORY_COUNT makes them more.
    private static let count = ProcessInfo.processInfo.environment["HISTORY_COUNT"].flatMap(Int.init) ?? 1000

    /// What breaks a rule, in a run of a seed.
    private func violations(in run: RefreshSimulation, raceWindow: Int64? = 30_000) -> [String] {
        let verdict = HistoryChecker(raceWindow: raceWindow).check(run.history)
        return verdict.violations.map { "\($0.rule) at \($0.entry): \(run.history.entries[$0.entry])" }
    }

    private func replaysFound(_ run: RefreshSimulation) -> Int {
        HistoryChecker(raceWindow: 30_000).check(run.history).replaysFound
    }

    @Test(
        "no honest client is logged out, no token has two children, every late replay is found",
        arguments: [1, 2, 3, chosen])
    func network(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40)
        try run.run(requestsMax: 4000)
        #expect(violations(in: run) == [], "seed \(seed)")
        #expect(run.requests >= 4000 && replaysFound(run) > 0, "seed \(seed)")
    }

    @Test(
        "the same for every style of tokens",
        arguments: [TokenStyle.signedRefresh, .single(claim: "useExp", useLifetime: 600_000)], [9, chosen])
    func styles(_ style: TokenStyle, _ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40, style: style)
        try run.run(requestsMax: 2000)
        #expect(violations(in: run) == [], "seed \(seed)")
        // So short a run has no late replay by every seed.
        #expect(run.requests >= 2000 && (replaysFound(run) > 0 || seed != 9), "seed \(seed)")
    }

    @Test("the same over very many short histories", arguments: [chosen])
    func shortHistories(_ first: UInt64) throws {
        print("\(Self.count) histories from seed \(first) on")
        var found = 0
        for offset in 0..<UInt64(Self.count) {
            let run = try RefreshSimulation(seed: first &+ offset, clientCount: 2)
            try run.run(requestsMax: 50)
            #expect(violations(in: run) == [], "seed \(first &+ offset)")
            found += replaysFound(run)
        }
        #expect(found > Self.count / 20)
    }

    @Test(
        "the same while server keys come and go, also between a lost answer and its retry",
        arguments: [7, 8, chosen])
    func keyRotation(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40, rotatesKeys: true)
        try run.run(requestsMax: 4000)
        #expect(violations(in: run) == [], "seed \(seed)")
        #expect(run.keysMade > 10 && run.keysGone > 3, "seed \(seed)")
    }

    @Test("a clock that steps back now and then logs nobody out", arguments: [4, 5, chosen])
    func clockSteps(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 40, hasClockSteps: true)
        try run.run(requestsMax: 3000)
        #expect(violations(in: run, raceWindow: nil) == [], "seed \(seed)")
    }

    @Test("the same over SQLite, in a process that is killed now and then", arguments: [6, 9, chosen])
    func crashes(_ seed: UInt64) throws {
        print("simulation with seed \(seed)")
        let run = try RefreshSimulation(seed: seed, clientCount: 20, crashes: true)
        try run.run(requestsMax: 800)
        #expect(violations(in: run) == [], "seed \(seed)")
        #expect(run.crashes > 5, "seed \(seed)")
    }
}
