// Keeps the keys of foreign issuers up to date: one watch for the whole process, on the first shard's loop.
// What it learns goes into the `IssuerTarget`, and every shard is told to look there.
//
// Owned by: the first shard.

import Configuration
import JOSE
import Network
import Observability
import Primitives

/// Fetches the keys of all issuers that have any to fetch.
final class KeyWatch {
    private unowned let shard: Shard
    private var watched: [WatchedIssuer] = []

    init(_ shard: Shard) {
        self.shard = shard
        change(to: shard.runtime.issuers)
    }

    /// Changes over to a new configuration.
    func change(to targets: [IssuerTarget]) {
        let old = watched
        watched = targets.compactMap { target in
            if let known = old.first(where: { $0.target === target }) { return known }
            guard let remote = target.configuration.keys.remote else { return nil }
            return WatchedIssuer(target, remote, shard: shard)
        }
        for gone in old where !watched.contains(where: { $0 === gone }) { gone.stop() }
    }

    /// A shard has seen a token whose key is not known. Whoever asks is answered, by news of the issuer.
    func want(_ target: IssuerTarget) {
        // Two shards may ask for one key, and the second's word arrive when the first's has been answered.
        guard let issuer = watched.first(where: { $0.target === target }),
            KeySchedule.standing(target.lastAttempt, now: shard.loop.now) == .askable
        else {
            shard.tellKeys(of: target)
            return
        }
        issuer.fetchNow(isWanted: true)
    }

    /// A server's name has been looked up.
    func take(_ path: Result<FetchPath, RuntimeError>, for target: IssuerTarget, serial: UInt64) {
        watched.first { $0.target === target }?.take(path, serial: serial)
    }
}

/// One issuer under watch: its deadline is the next fetch.
final class WatchedIssuer: EventTarget {
    let target: IssuerTarget
    private unowned let shard: Shard
    private let remote: RemoteKeys
    private var schedule: KeySchedule
    private var fetch: KeyFetch?
    private var serial: UInt64 = 0
    /// The fetch under way was begun for a token.
    private var isOnDemand = false
    /// A token waits for it that came when it had begun.
    private var isAwaited = false

    init(_ target: IssuerTarget, _ remote: RemoteKeys, shard: Shard) {
        self.target = target
        self.remote = remote
        self.shard = shard
        schedule = KeySchedule(everyMilliseconds: remote.everyMilliseconds)
        super.init()
        shard.loop.add(timer: self)
        fetchNow(isWanted: false)
    }

    override func deadlinePassed() {
        if let fetch {
            fetch.stop()
            ended(.failed("no answer in time"))
        } else {
            fetchNow(isWanted: false)
        }
    }

    /// Fetches, unless that is being done already: then whoever asks is judged again when that has ended, and
    /// may ask again.
    func fetchNow(isWanted: Bool) {
        if !schedule.begin() {
            isAwaited = isAwaited || isWanted
            return
        }
        (isOnDemand, isAwaited) = (isWanted, false)
        serial += 1
        // However long the network's name servers are silent, there is an end.
        shard.loop.setDeadline(self, milliseconds: remote.timeoutMilliseconds)
        let fetch = KeyFetch(target, remote, serial: serial, shard: shard) { [unowned self] in ended($0) }
        self.fetch = fetch
        fetch.start()
    }

    func take(_ path: Result<FetchPath, RuntimeError>, serial: UInt64) {
        if fetch?.serial == serial { fetch?.take(path) }
    }

    /// It is not watched any more.
    func stop() {
        fetch?.stop()
        fetch = nil
        shard.loop.remove(self)
        shard.tellKeys(of: target)
    }

    private func ended(_ outcome: KeyFetchOutcome) {
        fetch = nil
        var outcome = outcome
        let log = shard.runtime.services.log
        let name = "issuer \(target.configuration.issuer)"
        do throws(RuntimeError) {
            if case .keys(let keys, _) = outcome {
                // An answer that was under way when a token came may be older than the token's key.
                if try target.take(fetched: keys.keys, wasWanted: isOnDemand, at: shard.loop.now) {
                    log.info("\(name): \(Self.list(keys))")
                }
            } else {
                let wasWanted = isOnDemand || isAwaited
                _ = try target.take(fetched: nil, wasWanted: wasWanted, at: shard.loop.now)
            }
        } catch {
            outcome = .failed(error.reason)
        }
        switch outcome {
        case .keys(_, let maxAge):
            if schedule.isFailing { log.info("\(name): its keys can be fetched again") }
            scheduleNext(schedule.succeeded(maxAgeSeconds: maxAge))
        case .failed(let reason):
            let isNews = !schedule.isFailing
            scheduleNext(schedule.failed())
            if isNews {
                let meanwhile = target.keys.set.keys.isEmpty ? "there are none yet" : "the last ones stay"
                log.warning("\(name): its keys cannot be fetched, \(meanwhile): \(reason)")
            }
        }
        shard.tellKeys(of: target)
    }

    private func scheduleNext(_ milliseconds: Int64) {
        // A tenth less at random, so that gateways which were started together do not ask together.
        let jitter = Int64.random(in: 0...(milliseconds / 10))
        shard.loop.setDeadline(self, milliseconds: milliseconds - jitter)
    }

    private static func list(_ keys: KeySet) -> String {
        let names = keys.keys.prefix(16).map {
            "\($0.algorithm.name) \($0.kid.map(logged) ?? "without a name")"
        }
        let ignored = keys.ignoredCount == 0 ? "" : ", \(keys.ignoredCount) of no use"
        return "\(keys.keys.count) keys (\(names.joined(separator: ", "))\(ignored))"
    }

    /// A name from the network as a log may have it.
    private static func logged(_ kid: String) -> String {
        String(kid.unicodeScalars.prefix(64).map { (0x21...0x7E).contains($0.value) ? Character($0) : "?" })
    }
}
