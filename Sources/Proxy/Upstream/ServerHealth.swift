// Whether one server of an upstream is worth asking, as one shard sees it: what its answers to requests have
// shown (passive), what the prober says (active), and for how long it has been back. A value: time is passed
// in.
//
//     up ── too many failures in the window ──▶ out ── the window has passed ──▶ one trial request at a time
//      ▲                                         ▲                                  │              │
//      └───────────────── success ───────────────┼──────────────────────────────────┘              │
//                                                └──────────────────── failure ────────────────────┘

import Configuration
import Primitives

/// How many failures are too many.
struct FailurePolicy: Equatable {
    /// 0 is never.
    var failuresMax: Int
    var windowMilliseconds: Int64
    /// How long a server that has come back takes to get its full share; 0 is at once.
    var slowStartMilliseconds: Int64
}

extension FailurePolicy {
    init(_ upstream: UpstreamConfiguration) {
        self.init(
            failuresMax: upstream.failuresMax, windowMilliseconds: upstream.failWindowMilliseconds,
            slowStartMilliseconds: upstream.slowStartMilliseconds)
    }
}

/// The health of one server.
struct ServerHealth: Equatable {
    /// What has become of it by an event.
    enum Change: Equatable { case none, out, back }

    /// The prober has taken it out: it is not used whatever else is known.
    private(set) var isDown = false
    /// When failures have taken it out: until when. A time that has passed asks for a trial.
    private var outUntil: MonotonicInstant?
    private var trialIsUnderWay = false
    /// The failures of the last window, the oldest first; at most as many as are too many.
    private var failures: [MonotonicInstant] = []
    private var cameBack: MonotonicInstant?

    /// Whether failures of requests have taken it out.
    var isOut: Bool { outUntil != nil }

    /// Whether its answers to requests speak for sending it another.
    func isUsable(_ now: MonotonicInstant) -> Bool {
        guard let outUntil else { return true }
        return now >= outUntil && !trialIsUnderWay
    }

    /// A request is sent to it; true when this is its trial.
    mutating func begin(_ now: MonotonicInstant) -> Bool {
        guard let outUntil, now >= outUntil, !trialIsUnderWay else { return false }
        trialIsUnderWay = true
        return true
    }

    /// The trial's exchange is over; where its outcome has shown nothing, another may be made.
    mutating func endTrial() { trialIsUnderWay = false }

    /// A request has failed by the server's fault.
    mutating func failed(_ now: MonotonicInstant, _ policy: FailurePolicy) -> Change {
        if policy.failuresMax == 0 { return .none }
        let end = now.advanced(byMilliseconds: policy.windowMilliseconds)
        if outUntil != nil {
            outUntil = end
            trialIsUnderWay = false
            return .none
        }
        failures.removeAll { $0.advanced(byMilliseconds: policy.windowMilliseconds) <= now }
        failures.append(now)
        if failures.count < policy.failuresMax { return .none }
        failures = []
        outUntil = end
        return .out
    }

    /// A request was answered.
    mutating func succeeded(_ now: MonotonicInstant) -> Change {
        if outUntil == nil { return .none }
        outUntil = nil
        trialIsUnderWay = false
        cameBack = now
        return .back
    }

    /// The prober has made up its mind.
    mutating func judge(isUp: Bool, _ now: MonotonicInstant) {
        if isDown && isUp { cameBack = now }
        isDown = !isUp
    }

    /// Which part of its weight counts, in thousandths: a tenth when it comes back, then ever more.
    mutating func share(_ now: MonotonicInstant, _ policy: FailurePolicy) -> Int {
        guard let since = cameBack else { return Self.fullShare }
        let passed = max(0, now.milliseconds - since.milliseconds)
        if passed >= policy.slowStartMilliseconds {
            cameBack = nil
            return Self.fullShare
        }
        let first = Self.fullShare / 10
        return first + Int(Int64(Self.fullShare - first) * passed / policy.slowStartMilliseconds)
    }

    private static let fullShare = 1_000
}
