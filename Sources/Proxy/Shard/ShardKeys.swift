// What a shard does when a token is signed with a key that it does not have: its issuer may have a new one.
// The request waits while the provider is asked, which the first shard does for all; asked a moment ago, its
// last answer stands.

import Configuration
import JOSE
import Network
import Observability

/// What becomes of a request whose token's key is not known.
enum KeyDecision {
    /// The keys have changed meanwhile: judge it again.
    case again
    /// The exchange waits for news, and is then judged again.
    case wait
    /// Its issuer has no such key.
    case unknown
    /// Its issuer cannot be asked.
    case unavailable(retryAfterSeconds: Int64)
}

extension Shard {
    /// Decides on the exchange of a connection; where it is to wait, it is noted down.
    func decide(issuer index: Int, for connection: DownstreamConnection) -> KeyDecision {
        let issuer = runtime.issuers[index - 1]
        if takeKeys(of: issuer, at: index) { return .again }
        switch KeySchedule.standing(issuer.lastAttempt, now: loop.now) {
        case .absent: return .unknown
        case .unavailable(let seconds): return .unavailable(retryAfterSeconds: seconds)
        case .askable:
            if keyWaiters.isEmpty || !keyWaiters.contains(where: { $0.issuer === issuer }) {
                (doors?.first ?? mailbox).post(.wantKeys(issuer))
            }
            keyWaiters.append((connection.slot, connection.exchange.serial, issuer))
            return .wait
        }
    }

    /// There is news of an issuer: its keys are taken into use, and who has waited is judged again.
    func learnKeys(of issuer: IssuerTarget) {
        if let index = runtime.issuers.firstIndex(where: { $0 === issuer }) {
            _ = takeKeys(of: issuer, at: index + 1)
        }
        let waiters = keyWaiters.filter { $0.issuer === issuer }
        keyWaiters.removeAll { $0.issuer === issuer }
        for waiter in waiters {
            guard let connection = loop.target(slot: waiter.slot) as? DownstreamConnection else { continue }
            connection.keysHaveCome(serial: waiter.serial)
        }
    }

    /// Has every shard look at an issuer's keys.
    func tellKeys(of issuer: IssuerTarget) {
        tellNeighbours(.keys(issuer))
        learnKeys(of: issuer)
    }

    /// Takes an issuer's keys into use if they are others than before.
    private func takeKeys(of issuer: IssuerTarget, at index: Int) -> Bool {
        let (keys, version) = issuer.keys
        if keyVersions[index - 1] == version { return false }
        keyVersions[index - 1] = version
        do throws(JOSEError) {
            try gatekeeper.change(keys: keys, ofIssuer: index)
        } catch {
            runtime.services.log.error(
                "issuer \(issuer.configuration.issuer): a shard cannot use its keys: \(error)")
        }
        return true
    }
}
